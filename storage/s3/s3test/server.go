// Package s3test runs S3 servers on loopback for the tests of storage/s3:
// versitygw in this process, and MinIO as a process of its own. It is a module
// of its own so that the servers' many dependencies stay out of the product.
package s3test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"

	"salvor/storage/s3"
)

// Keys of both servers.
const (
	Access = "testtest"
	Secret = "testtest-secret"
)

// Server is a running S3 server.
type Server struct {
	Name     string
	Endpoint string
	PID      int // 0 when it runs in this process
	stop     func()
}

// Stop ends the server.
func (s *Server) Stop() { s.stop() }

// Config is a Store's configuration for this server.
func (s *Server) Config(bucket string) s3.Config {
	return s3.Config{
		Endpoint: s.Endpoint, Bucket: bucket, AccessKeyID: Access, SecretAccessKey: Secret,
		PartSize: 5 << 20, RetryFor: 10 * time.Second,
	}
}

// Client is the plain library's client of this server.
func (s *Server) Client() (*minio.Client, error) {
	return minio.New(s.Endpoint[len("http://"):], &minio.Options{Creds: credentials.NewStaticV4(Access, Secret, ""), Region: "us-east-1"})
}

// MakeBucket makes a bucket, with object lock (and versions) when asked.
func (s *Server) MakeBucket(ctx context.Context, name string, lock bool) error {
	c, err := s.Client()
	if err != nil {
		return err
	}
	return c.MakeBucket(ctx, name, minio.MakeBucketOptions{ObjectLocking: lock})
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Versity starts versitygw over a directory. Only one may run in a process,
// whose working directory it changes.
func Versity(dir string) (*Server, error) {
	addr, err := freePort()
	if err != nil {
		return nil, err
	}
	root, versions := filepath.Join(dir, "root"), filepath.Join(dir, "versions")
	for _, d := range []string{root, versions} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	back, err := posix.New(root, meta.XattrMeta{}, posix.PosixOpts{VersioningDir: versions, CopyObjectThreshold: 5 << 30})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- embedgw.RunVersityGW(ctx, back, &embedgw.Config{
			RootUserAccess: Access, RootUserSecret: Secret, Region: "us-east-1", Ports: []string{addr},
			MaxConnections: 10000, MaxRequests: 5000, MultipartMaxParts: 10000, Quiet: true, KeepAlive: true,
		})
	}()
	stop := func() {
		cancel()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
		}
	}
	s := &Server{Name: "versitygw", Endpoint: "http://" + addr, stop: stop}
	return s, s.await(done)
}

// await waits until the server answers.
func (s *Server) await(ended <-chan error) error {
	for range 600 {
		select {
		case err := <-ended:
			return fmt.Errorf("%s ended: %v", s.Name, err)
		case <-time.After(50 * time.Millisecond):
		}
		resp, err := http.Get(s.Endpoint + "/")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode < 500 {
			return nil
		}
	}
	s.Stop()
	return fmt.Errorf("%s does not answer at %s", s.Name, s.Endpoint)
}

// MinIOBinary is where e2e/check/minio.sh puts the server; "" when it is not
// there. SALVOR_MINIO overrides it.
func MinIOBinary() string {
	path := os.Getenv("SALVOR_MINIO")
	if path == "" {
		path = filepath.Join("..", "..", "..", ".cache", "minio", "minio")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// MinIO starts a MinIO process over a directory. The process is killed by Stop
// and knows nothing of the machine's proxies and settings.
func MinIO(binary, dir string) (*Server, error) {
	addr, err := freePort()
	if err != nil {
		return nil, err
	}
	return MinIOAt(binary, dir, addr)
}

// MinIOAt is MinIO at an address of 127.0.0.1, for one that comes back after it
// was killed.
func MinIOAt(binary, dir, addr string) (*Server, error) {
	log, err := os.Create(filepath.Join(dir, "minio.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(binary, "server", "--quiet", "--address", addr, filepath.Join(dir, "data"))
	cmd.Env = []string{
		"HOME=" + dir, "PATH=/usr/bin:/bin", "MINIO_ROOT_USER=" + Access, "MINIO_ROOT_PASSWORD=" + Secret,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CALLHOME_ENABLE=off", "MINIO_CI_CD=on",
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also when a test times out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() {
		done <- cmd.Wait()
		close(done)
	}()
	stop := func() {
		cmd.Process.Kill()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
		}
	}
	s := &Server{Name: "MinIO", Endpoint: "http://" + addr, PID: cmd.Process.Pid, stop: stop}
	return s, s.await(done)
}
