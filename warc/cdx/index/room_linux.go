package index

import "golang.org/x/sys/unix"

// free is how many bytes can be written in a directory, if that can be told.
func free(dir string) (bytes uint64, known bool) {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return 0, false
	}
	return st.Bavail * uint64(st.Bsize), true
}
