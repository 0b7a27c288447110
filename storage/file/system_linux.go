package file

import (
	"errors"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// hasProc says whether LinkTmpfile can work: a bare chroot has no /proc.
var hasProc = sync.OnceValue(func() bool {
	_, err := os.Stat("/proc/self/fd")
	return err == nil
})

// Tmpfile: see open(2), O_TMPFILE. The file vanishes with the process unless
// it was linked.
func (osSystem) Tmpfile(dir string) (output, error) {
	if !hasProc() {
		return nil, errors.ErrUnsupported
	}
	return opened(os.OpenFile(dir, os.O_WRONLY|unix.O_TMPFILE, 0o644))
}

// LinkTmpfile goes through /proc because AT_EMPTY_PATH wants a capability.
func (osSystem) LinkTmpfile(f output, path string) error {
	name := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	return unix.Linkat(unix.AT_FDCWD, name, unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
}

func (osSystem) RenameNoReplace(from, to string) error {
	return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
}
