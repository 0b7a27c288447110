package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"salvor"
	"salvor/storage/durable"
)

// Files of a node's directory. Those that end in .key have mode 0600.
const (
	fileCACert   = "ca.crt"        // the authority's certificate
	fileCAKey    = "ca.key"        // its key: coordinators only
	fileNodeKey  = "node.key"      // made once; the node's id follows from it
	fileNodeCert = "node.crt"      // written last: with it the node is a member
	fileCluster  = "cluster.json"  // what the node knows of the cluster
	fileFounding = "founding.json" // rows that Enroll writes; hashes, no secrets
)

// maxFile is more than any file here has.
const maxFile = 256 << 10

const (
	pemCert = "CERTIFICATE"
	pemKey  = "PRIVATE KEY"
	pemCSR  = "CERTIFICATE REQUEST"
)

// writeFile writes durably; private files nobody else can read.
func writeFile(path string, private bool, b []byte) error {
	write := durable.WriteFile
	if private {
		write = durable.WritePrivate
	}
	return write(path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// readFile reads a file of bounded size. A private one that others may read is
// refused: its secret has to be taken for known.
func readFile(path string, private bool) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, durable.Error(err, "open", path)
	}
	defer f.Close()
	if private {
		if err := checkMode(f, path); err != nil {
			return nil, err
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, durable.Error(err, "read", path)
	}
	if len(b) > maxFile {
		return nil, salvor.Errorf(salvor.Invalid, "%s is larger than %d bytes", path, maxFile)
	}
	return b, nil
}

func checkMode(f *os.File, path string) error {
	st, err := f.Stat()
	if err != nil {
		return durable.Error(err, "look at", path)
	}
	if mode := st.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return salvor.Errorf(salvor.Forbidden, "the key %s can be read by others (mode %04o)", path, mode).
			WithHint("run: chmod 600 %s; if somebody may have read it, replace it", path)
	}
	return nil
}

func exists(path string) (bool, error) {
	switch _, err := os.Stat(path); {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return false, durable.Error(err, "look at", path)
	}
}

func writeJSON(path string, private bool, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return salvor.Errorf(salvor.Internal, "write %s: %w", path, err)
	}
	return writeFile(path, private, append(b, '\n'))
}

func readJSON(path string, v any) error {
	b, err := readFile(path, false)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return salvor.Errorf(salvor.Invalid, "%s is damaged: %w", path, err)
	}
	return nil
}

func newKey() (*ecdsa.PrivateKey, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, salvor.Errorf(salvor.Internal, "make a key: %w", err)
	}
	return k, nil
}

func encodeKey(k *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, salvor.Errorf(salvor.Internal, "encode a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), nil
}

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemCert, Bytes: der})
}

// onePEM is the only block of a text, which must have the type.
func onePEM(text []byte, typ string) ([]byte, error) {
	b, rest := pem.Decode(text)
	if b == nil || b.Type != typ || len(bytes.TrimSpace(rest)) > 0 {
		return nil, salvor.Errorf(salvor.Invalid, "this is not one PEM block of the type %s", typ)
	}
	return b.Bytes, nil
}

func decodeKey(text []byte) (*ecdsa.PrivateKey, error) {
	der, err := onePEM(text, pemKey)
	if err != nil {
		return nil, err
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "the key cannot be read") // the cause may quote it
	}
	ec, ok := k.(*ecdsa.PrivateKey)
	if !ok || ec.Curve != elliptic.P256() {
		return nil, salvor.Errorf(salvor.Invalid, "the key is not one of ECDSA P-256")
	}
	return ec, nil
}

func decodeCert(text []byte) (*x509.Certificate, error) {
	der, err := onePEM(text, pemCert)
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "the certificate cannot be read: %w", err)
	}
	return c, nil
}

func loadKey(path string) (*ecdsa.PrivateKey, error) {
	b, err := readFile(path, true)
	if err != nil {
		return nil, err
	}
	k, err := decodeKey(b)
	if err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "%s: %w", path, err)
	}
	return k, nil
}

func loadCert(path string) (*x509.Certificate, error) {
	b, err := readFile(path, false)
	if err != nil {
		return nil, err
	}
	c, err := decodeCert(b)
	if err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "%s: %w", path, err)
	}
	return c, nil
}

// nodeKey is the key of the directory's node, made if there is none.
func nodeKey(dir string) (*ecdsa.PrivateKey, error) {
	path := filepath.Join(dir, fileNodeKey)
	if ok, err := exists(path); err != nil {
		return nil, err
	} else if ok {
		return loadKey(path)
	}
	if err := durable.MkdirAll(dir); err != nil {
		return nil, err
	}
	k, err := newKey()
	if err != nil {
		return nil, err
	}
	b, err := encodeKey(k)
	if err != nil {
		return nil, err
	}
	return k, writeFile(path, true, b)
}
