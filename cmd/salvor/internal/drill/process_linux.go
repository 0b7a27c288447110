package drill

import "syscall"

// apart keeps a node from what the terminal sends to this process, and lets it
// not outlive it.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
