package signed

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// slowly answers with what f finds, which may take minutes: joining parts,
// reading an object, syncing a disk. Blanks before the JSON tell the worker
// meanwhile that the coordinator lives; the status is then 200 whatever f
// finds, and a failure is known by its class.
func (h *Handler) slowly(w http.ResponseWriter, f func() (any, error)) {
	k := &keepAlive{w: w, rc: http.NewResponseController(w), every: h.c.KeepAlive}
	k.start()
	defer k.stop()
	v, err := f()
	k.stop()
	if !k.begun {
		answer(w, v, err)
		return
	}
	if err != nil {
		_, v = failureOf(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		_, f := failureOf(err)
		b, _ = json.Marshal(f)
	}
	_ = k.rc.SetWriteDeadline(time.Now().Add(h.c.Timeout))
	_, _ = w.Write(b)
	_ = k.rc.SetWriteDeadline(time.Time{})
}

// keepAlive writes blanks until it is stopped; nobody else writes before.
type keepAlive struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	every time.Duration
	begun bool // read it after stop only

	once sync.Once
	end  chan struct{}
	done chan struct{}
}

func (k *keepAlive) start() {
	k.end, k.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(k.done)
		tick := time.NewTicker(k.every)
		defer tick.Stop()
		for {
			select {
			case <-k.end:
				return
			case <-tick.C:
				k.blank()
			}
		}
	}()
}

func (k *keepAlive) blank() {
	if !k.begun {
		k.begun = true
		k.w.Header().Set("Content-Type", "application/json")
		k.w.WriteHeader(http.StatusOK)
	}
	_ = k.rc.SetWriteDeadline(time.Now().Add(k.every)) // one that hangs must not hold f's answer
	_, _ = k.w.Write([]byte(" "))
	_ = k.rc.Flush()
	_ = k.rc.SetWriteDeadline(time.Time{}) // HTTP/2 cuts an idle stream, too
}

func (k *keepAlive) stop() {
	k.once.Do(func() { close(k.end) })
	<-k.done
}
