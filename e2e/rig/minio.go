package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// MinIO is a strict S3 server in a process of its own, on loopback.
type MinIO struct {
	Address string // 127.0.0.1:PORT
	Bucket  string
	Env     []string // credentials, as the AWS tools read them

	program, dir string
	p            *Process
}

const minioUser, minioPassword = "rescuer", "rescue-test-1"

// StartMinIO starts the server that e2e/check/minio.sh built, with an empty
// bucket. ErrMissing says that it was not built.
func StartMinIO(dir string) (*MinIO, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	m := &MinIO{
		Bucket: "archive", dir: dir, program: filepath.Join(root, ".cache", "minio", "minio"),
		Env: []string{"AWS_ACCESS_KEY_ID=" + minioUser, "AWS_SECRET_ACCESS_KEY=" + minioPassword},
	}
	if _, err := os.Stat(m.program); err != nil {
		return nil, fmt.Errorf("%s (e2e/check/minio.sh builds it): %w", m.program, ErrMissing)
	}
	if m.Address, err = FreePort("127.0.0.1"); err != nil {
		return nil, err
	}
	if err := m.Start(); err != nil {
		return nil, err
	}
	c, err := m.Client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		err := c.MakeBucket(ctx, m.Bucket, minio.MakeBucketOptions{})
		if err == nil || ctx.Err() != nil {
			return m, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Client speaks to the server directly.
func (m *MinIO) Client() (*minio.Client, error) {
	return minio.New(m.Address, &minio.Options{Creds: credentials.NewStaticV4(minioUser, minioPassword, ""), Region: "us-east-1"})
}

// Start starts the server on what it stored before.
func (m *MinIO) Start() (err error) {
	env := []string{"MINIO_ROOT_USER=" + minioUser, "MINIO_ROOT_PASSWORD=" + minioPassword, "MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CI_CD=1"}
	m.p, err = Start(m.dir, env, m.program, "server", "--quiet", "--address", m.Address, filepath.Join(m.dir, "objects"))
	if err != nil {
		return err
	}
	if err := WaitListening(m.Address, 30*time.Second); err != nil {
		return errors.Join(err, fmt.Errorf("minio says: %s", tail(m.p.Stderr())))
	}
	return nil
}

// Kill ends the server as a power cut would.
func (m *MinIO) Kill() {
	_ = m.p.Signal(syscall.SIGKILL)
	<-m.p.Done()
}

// PID is the number of the server's process.
func (m *MinIO) PID() int { return m.p.PID() }
