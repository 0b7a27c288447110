package s3test

import (
	"testing"

	"salvor"
	"salvor/storage"
	"salvor/storage/storagetest"
)

func hint(err error) string { return salvor.HintOf(err) }

// Object stores keep a key and the directory of others alike or refuse the
// second; the suite takes both.
func TestConformance(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		storagetest.Run(t, func(t *testing.T) storage.Store { return open(t, s, nil) })
	})
}
