package cli

import (
	"context"
	"time"

	"salvor/cmd/salvor/internal/job"
)

func (testOnlyEngine) Restore(context.Context, job.Restoring) (bool, time.Time, error) {
	return false, time.Time{}, nil
}

func (testOnlyEngine) Compact(context.Context, job.Job, int64, time.Duration) (job.Compacted, error) {
	return job.Compacted{}, nil
}
