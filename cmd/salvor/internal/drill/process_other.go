//go:build !linux

package drill

import "syscall"

// apart keeps a node from what the terminal sends to this process.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
