package outfit

import "golang.org/x/sys/unix"

// Free is how many bytes the disk of a directory has left for this user; it is
// not known where the file system does not tell.
func Free(dir string) (bytes int64, known bool) {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	return int64(st.Bavail) * int64(st.Bsize), err == nil
}
