package coordinator

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// A Raft connection begins with two bytes of the caller: the number of the
// group, and how the caller's configuration knows the server it calls. One byte
// comes back: welcome, or why not.
const (
	asOther    = 0 // not in the configuration
	asVoter    = 1
	asNonvoter = 2

	welcome = 0
	isBlank = 1 // the server lost its log, and must not vote (blank.go)
)

var (
	errBlank   = errors.New("its directory is new though it is a voter")
	errRefused = errors.New("raft connection was refused")
	errEnded   = errors.New("raft connections ended")
)

const (
	// messageTime bounds one message and its answer.
	messageTime = 3 * time.Second
	// writeTime is how long a connection may take nothing, readTime how long
	// it may bring nothing where something is due all the time. A follower
	// reads a snapshot on the loop that also votes.
	writeTime = 5 * time.Second
	readTime  = 6 * time.Second
	greetTime = 5 * time.Second
	// greetings is how many connections may be greeted at once.
	greetings = 64
	connPool  = 3
)

// switchboard hands each connection of a node to its group.
type switchboard struct {
	l       net.Listener
	streams []*stream
	log     *slog.Logger
	slots   chan struct{}
	ended   chan struct{}
	loops   sync.WaitGroup
}

func newSwitchboard(l net.Listener, log *slog.Logger, streams []*stream) *switchboard {
	s := &switchboard{l: l, streams: streams, log: log, slots: make(chan struct{}, greetings), ended: make(chan struct{})}
	s.loops.Go(s.run)
	return s
}

// run accepts until the listener is closed.
func (s *switchboard) run() {
	for {
		conn, err := s.l.Accept()
		if err != nil {
			select {
			case <-s.ended:
				return
			case <-time.After(50 * time.Millisecond):
			}
			if errors.Is(err, net.ErrClosed) {
				return
			}
			s.log.Warn("raft connection not accepted", "error", err)
			continue
		}
		select {
		case s.slots <- struct{}{}:
		case <-s.ended:
			conn.Close()
			return
		}
		s.loops.Go(func() {
			defer func() { <-s.slots }()
			if err := s.greet(conn); err != nil {
				s.log.Debug("raft connection refused", "from", conn.RemoteAddr(), "error", err)
				conn.Close()
			}
		})
	}
}

// greet reads the first two bytes and answers.
func (s *switchboard) greet(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(greetTime)); err != nil {
		return err
	}
	var head [2]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	if int(head[0]) >= len(s.streams) {
		return errRefused
	}
	to := s.streams[head[0]]
	word := to.admit(head[1])
	if _, err := conn.Write([]byte{word}); err != nil {
		return err
	}
	if word != welcome {
		return errBlank
	}
	return to.deliver(conn)
}

func (s *switchboard) close() error {
	close(s.ended)
	err := s.l.Close()
	s.loops.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// stream is the raft.StreamLayer of one group.
type stream struct {
	group byte
	self  raft.ServerAddress
	dial  func(ctx context.Context, address string) (net.Conn, error)
	// knows is how the group's configuration knows an address.
	knows func(raft.ServerAddress) byte
	// admit is the answer to a caller that knows this node so.
	admit func(as byte) byte

	in    chan net.Conn
	ended chan struct{}
	once  sync.Once

	mu     sync.Mutex
	conns  map[*conn]struct{}
	closed bool // no connection is made or taken any more
}

var _ raft.StreamLayer = (*stream)(nil)

func newStream(group int, self raft.ServerAddress, dial func(context.Context, string) (net.Conn, error)) *stream {
	return &stream{
		group: byte(group), self: self, dial: dial,
		knows: func(raft.ServerAddress) byte { return asVoter }, admit: func(byte) byte { return welcome },
		in: make(chan net.Conn), ended: make(chan struct{}), conns: map[*conn]struct{}{},
	}
}

// deliver hands over a connection that arrived.
func (s *stream) deliver(c net.Conn) error {
	if err := c.SetDeadline(time.Time{}); err != nil {
		return err
	}
	kept, err := s.keep(c, readTime)
	if err != nil {
		return err
	}
	select {
	case s.in <- kept:
		return nil
	case <-s.ended:
		kept.Close()
		return errEnded
	case <-time.After(greetTime):
		kept.Close()
		return errRefused
	}
}

// Accept implements net.Listener.
func (s *stream) Accept() (net.Conn, error) {
	select {
	case c := <-s.in:
		return c, nil
	case <-s.ended:
		return nil, errEnded
	}
}

// Dial implements raft.StreamLayer.
func (s *stream) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	go func() {
		select {
		case <-s.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	c, err := s.dial(ctx, string(to))
	if err != nil {
		return nil, err
	}
	if err := s.introduce(c, s.knows(to), timeout); err != nil {
		c.Close()
		return nil, err
	}
	return s.keep(c, 0)
}

// introduce says what the connection is for and waits for the answer.
func (s *stream) introduce(c net.Conn, as byte, timeout time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := c.Write([]byte{s.group, as}); err != nil {
		return err
	}
	var word [1]byte
	if _, err := io.ReadFull(c, word[:]); err != nil {
		return err
	}
	switch word[0] {
	case welcome:
		return c.SetDeadline(time.Time{})
	case isBlank:
		return errBlank
	}
	return errRefused
}

// Addr implements net.Listener: the address the others know.
func (s *stream) Addr() net.Addr { return address(s.self) }

// Close implements net.Listener: it ends all connections too.
func (s *stream) Close() error {
	s.once.Do(func() { close(s.ended) })
	s.silence()
	return nil
}

// silence ends all connections for good: the others do not hear of this
// replica any more, and elect another leader if it led.
func (s *stream) silence() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.sever()
}

// sever closes all connections; new ones may be made.
func (s *stream) sever() {
	s.mu.Lock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.Close()
	}
}

func (s *stream) keep(c net.Conn, idle time.Duration) (*conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return nil, errEnded
	}
	keepAlive(c)
	kept := &conn{Conn: c, of: s, idle: idle}
	s.conns[kept] = struct{}{}
	return kept, nil
}

func (s *stream) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

type address string

func (a address) Network() string { return "raft" }
func (a address) String() string  { return string(a) }
