package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a running program with its output kept.
type Process struct {
	cmd     *exec.Cmd
	started time.Time
	out     buffer
	errs    buffer
	done    chan struct{}
	usage   Usage
}

// Usage is what a process took, by its own account to the kernel.
type Usage struct {
	Wall   time.Duration
	User   time.Duration
	System time.Duration
	MaxRSS int64 // bytes
	Exit   int   // -1 when a signal ended it
}

// CPU is user and system time together.
func (u Usage) CPU() time.Duration { return u.User + u.System }

// Start runs a program in dir ("" is here).
func Start(dir string, env []string, name string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.errs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.WaitDelay = 2 * time.Second
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go p.wait()
	return p, nil
}

func (p *Process) wait() {
	_ = p.cmd.Wait() // the exit code says it
	s := p.cmd.ProcessState
	p.usage = Usage{Wall: time.Since(p.started), User: s.UserTime(), System: s.SystemTime(), Exit: s.ExitCode()}
	if ru, ok := s.SysUsage().(*syscall.Rusage); ok {
		p.usage.MaxRSS = ru.Maxrss << 10
	}
	close(p.done)
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Wait returns what the process took when it has ended. When ctx ends first it
// is killed.
func (p *Process) Wait(ctx context.Context) (Usage, error) {
	select {
	case <-p.done:
		return p.usage, nil
	case <-ctx.Done():
		_ = p.Signal(syscall.SIGQUIT) // Go programs print their goroutines
		select {
		case <-p.done:
		case <-time.After(2 * time.Second):
			_ = p.Signal(syscall.SIGKILL)
			<-p.done
		}
		return p.usage, fmt.Errorf("%s did not end: %w", p.cmd.Path, ctx.Err())
	}
}

// Signal sends one to a process that may have ended.
func (p *Process) Signal(s syscall.Signal) error {
	err := p.cmd.Process.Signal(s)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stdout is what it has written there so far.
func (p *Process) Stdout() string { return p.out.String() }

// Stderr is what it has written there so far.
func (p *Process) Stderr() string { return p.errs.String() }

// Memory is the resident memory of a process that no file backs and that
// another process cannot give back: RssAnon in bytes.
func Memory(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has no RssAnon", pid)
}

// buffer may be read while a process writes to it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
