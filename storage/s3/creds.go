package s3

import (
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"salvor"
)

// creds finds the keys once, when the Store is opened, so that a mistake shows
// then; the provider renews what expires. A chain that tries everything on
// every request, as the library has, ends in an anonymous request and an
// error about permissions that helps nobody.
func (c Config) creds() (*credentials.Credentials, error) {
	source := c.Credentials
	if source == CredAuto {
		source = c.detect()
	}
	var p credentials.Provider
	switch source {
	case CredAnonymous:
		return credentials.NewStatic("", "", "", credentials.SignatureAnonymous), nil
	case credConfig:
		return credentials.NewStaticV4(c.AccessKeyID, c.SecretAccessKey, c.SessionToken), nil
	case CredEnv:
		p = &credentials.EnvAWS{}
	case CredFile:
		p = &credentials.FileAWSCredentials{Filename: c.CredentialsFile, Profile: c.Profile}
	case CredRole:
		p = &credentials.IAM{Endpoint: c.RoleEndpoint, Region: c.Region}
	default:
		return nil, salvor.Errorf(salvor.Forbidden, "no keys for the bucket %s were found", c.Bucket).
			WithHint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a credentials file (credentials-file=FILE&profile=NAME), or ask for the instance's role (credentials=role)")
	}
	creds := credentials.New(p)
	v, err := creds.GetWithContext(&credentials.CredContext{Client: &http.Client{Timeout: 10 * time.Second}})
	switch {
	case err != nil && source == CredRole:
		return nil, salvor.Errorf(salvor.Unavailable, "ask for the keys of the instance's role: %w", err).
			WithHint("the metadata service did not give keys: has this machine or container a role?")
	case err != nil:
		return nil, salvor.Errorf(salvor.Forbidden, "read the keys from %s: %w", c.where(source), err).
			WithHint("check the file's name, that this user may read it, and the profile's name")
	case v.AccessKeyID == "" || v.SecretAccessKey == "":
		return nil, salvor.Errorf(salvor.Forbidden, "there are no keys in %s", c.where(source)).
			WithHint("both an access key and a secret key are needed")
	}
	return creds, nil
}

// credConfig are the keys in the Config itself.
const credConfig CredentialSource = "config"

func (c Config) detect() CredentialSource {
	switch {
	case c.AccessKeyID != "":
		return credConfig
	case c.CredentialsFile != "" || c.Profile != "":
		return CredFile
	case anyEnv("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"):
		return CredEnv
	case anyEnv("AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE") || homeFile():
		return CredFile
	case c.atAmazon() || c.RoleEndpoint != "" || anyEnv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE"):
		// Elsewhere nobody answers at the metadata service's address, and
		// waiting for it would hide that no keys were given.
		return CredRole
	}
	return ""
}

func anyEnv(names ...string) bool {
	for _, n := range names {
		if os.Getenv(n) != "" {
			return true
		}
	}
	return false
}

func homeFile() bool {
	home, err := os.UserHomeDir()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(home, ".aws", "credentials"))
	return err == nil
}

func (c Config) where(s CredentialSource) string {
	switch {
	case s == CredEnv:
		return "the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"
	case s == CredRole:
		return "the instance's role"
	case c.CredentialsFile != "":
		return c.CredentialsFile
	}
	return "~/.aws/credentials"
}
