package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"

	"connectrpc.com/connect"

	"salvor"
	"salvor/api"
	"salvor/api/pb"
)

// codes is connect's code of each class, and so the HTTP status. Going back,
// the class in the error's detail counts; the code only where something that
// is not ours answered.
var codes = [...]connect.Code{
	salvor.Internal:    connect.CodeInternal,          // 500
	salvor.Invalid:     connect.CodeInvalidArgument,   // 400
	salvor.NotFound:    connect.CodeNotFound,          // 404
	salvor.Conflict:    connect.CodeAborted,           // 409
	salvor.Forbidden:   connect.CodePermissionDenied,  // 403
	salvor.Unavailable: connect.CodeUnavailable,       // 503
	salvor.Exhausted:   connect.CodeResourceExhausted, // 429
	salvor.TooNew:      connect.CodeUnimplemented,     // 501: an older server that knows no such method
	salvor.Interrupted: connect.CodeCanceled,          // 499
}

// classOfCode is the way back.
func classOfCode(c connect.Code) salvor.ErrorClass {
	switch c {
	case connect.CodeUnauthenticated:
		return salvor.Forbidden
	case connect.CodeAlreadyExists, connect.CodeFailedPrecondition:
		return salvor.Conflict
	case connect.CodeOutOfRange:
		return salvor.Invalid
	case connect.CodeDeadlineExceeded:
		return salvor.Unavailable
	}
	return salvor.ErrorClass(max(slices.Index(codes[:], c), 0))
}

// toWire makes connect's error of one of ours.
func toWire(err error) *connect.Error {
	if e, ok := errors.AsType[*connect.Error](err); ok && len(e.Details()) == 0 {
		if _, ours := errors.AsType[*salvor.Error](err); !ours {
			return e // of connect itself: a message too large, a wrong type
		}
	}
	class := salvor.ClassOf(err)
	if _, ours := errors.AsType[*salvor.Error](err); !ours && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		class = salvor.Interrupted
	}
	if int(class) >= len(codes) {
		class = salvor.Internal
	}
	d := &pb.ErrorDetail{Class: pb.ErrorClass(class), Hint: text(salvor.HintOf(err))}
	if n, ok := errors.AsType[*api.NotLeader](err); ok {
		d.NotLeader = &pb.NotLeader{Group: int32Of(n.Group), Leader: n.Leader}
	}
	out := connect.NewError(codes[class], errors.New(text(err.Error())))
	if detail, err := connect.NewErrorDetail(d); err == nil {
		out.AddDetail(detail)
	}
	return out
}

// remote is what a server said, in its words.
type remote struct {
	message string
	cause   error // *api.NotLeader, or nil
}

func (e *remote) Error() string { return e.message }
func (e *remote) Unwrap() error { return e.cause }

// fromWire makes our error of one that a server sent. A server that stops
// breaks off what is under way; for a caller that goes on, that is a reason to
// ask another.
func fromWire(e *connect.Error) *salvor.Error {
	r := &remote{message: e.Message()}
	out := &salvor.Error{Class: classOfCode(e.Code()), Err: r}
	for _, detail := range e.Details() {
		m, err := detail.Value()
		d, ok := m.(*pb.ErrorDetail)
		if err != nil || !ok {
			continue
		}
		out.Class, out.Hint = small8[salvor.ErrorClass](d.Class), d.Hint
		if int(out.Class) >= len(codes) {
			out.Class = classOfCode(e.Code())
		}
		if n := d.NotLeader; n != nil {
			r.cause = &api.NotLeader{Group: int(n.Group), Leader: n.Leader}
		}
	}
	if out.Class == salvor.Interrupted {
		out.Class = salvor.Unavailable
	}
	return out
}

// fate is what is known of a call that failed.
type fate int

const (
	settled   fate = iota // it was answered: repeating gives the same
	elsewhere             // it had no effect: this node does not lead
	unsent                // it had no effect: the node was not reached
	unknown               // it may have had an effect
	late                  // as unknown, and took all the time there was
)

// judge says what became of a call that failed, and gives its error a class.
// attempt is the attempt's context, ctx the caller's.
func judge(ctx, attempt context.Context, addr string, err error) (fate, error) {
	e, ok := errors.AsType[*connect.Error](err)
	wire := ok && connect.IsWireError(e)
	if wire && e.Message() == "" { // not this package's handler: what stands before it said no
		if classOfCode(e.Code()) == salvor.Unavailable {
			return unsent, salvor.Errorf(salvor.Unavailable, "rpc: %s does not answer calls now", addr)
		}
		return settled, salvor.Errorf(classOfCode(e.Code()), "rpc: %s refused the call: %s", addr, e.Code()).
			WithHint("Was this node removed from the cluster, or the key revoked?")
	}
	if wire {
		if f, err := judgeAnswer(fromWire(e)); f != unknown {
			return f, err
		}
	}
	switch {
	case ctx.Err() != nil:
		return unknown, interrupted(ctx)
	case attempt.Err() != nil:
		return late, salvor.Errorf(salvor.Unavailable, "rpc: %s: no answer in time: %w", addr, err)
	case wire:
		return judgeAnswer(fromWire(e))
	}
	if m, ok := errors.AsType[*malformed](err); ok {
		return settled, salvor.Errorf(m.class, "rpc: %s: %w", addr, m.err)
	}
	if ok {
		switch class := classOfCode(e.Code()); class {
		case salvor.Exhausted, salvor.Forbidden, salvor.TooNew:
			return settled, salvor.Errorf(class, "rpc: %s: %s", addr, e.Message())
		}
	}
	return network(addr, err)
}

func judgeAnswer(e *salvor.Error) (fate, error) {
	if _, ok := errors.AsType[*api.NotLeader](error(e)); ok {
		return elsewhere, e
	}
	if e.Class == salvor.Unavailable {
		return unknown, e
	}
	return settled, e
}

// network judges errors of dialling and of connections.
func network(addr string, err error) (fate, error) {
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return unsent, salvor.Errorf(salvor.Forbidden, "rpc: %s refused this node's certificate: %w", addr, err).
			WithHint("Was this node removed from the cluster, or has its certificate run out?")
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return unsent, salvor.Errorf(salvor.Forbidden, "rpc: %s has no certificate of a coordinator of this cluster: %w", addr, err).
			WithHint("Is this the address of one of its coordinators?")
	}
	err = salvor.Errorf(salvor.Unavailable, "rpc: %s: %w", addr, err)
	if _, ok := errors.AsType[*notReached](err); ok {
		return unsent, err
	}
	return unknown, err
}

func interrupted(ctx context.Context) error {
	return salvor.Errorf(salvor.Interrupted, "rpc: %w", ctx.Err())
}
