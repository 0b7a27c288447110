package mem_test

import (
	"testing"

	"salvor/storage"
	"salvor/storage/mem"
	"salvor/storage/storagetest"
)

func TestConformance(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Store { return mem.New() })
}
