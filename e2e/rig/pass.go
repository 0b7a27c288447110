package rig

import (
	"context"
	"io"
	"net"
)

// pass joins a connection with one to another address until either ends.
func pass(ctx context.Context, in net.Conn, to string) {
	defer in.Close()
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	stop := context.AfterFunc(ctx, func() { _, _ = in.Close(), out.Close() })
	defer stop()
	done := make(chan struct{}, 2)
	copyTo := func(a, b net.Conn) {
		_, _ = io.Copy(a, b)
		if t, ok := a.(*net.TCPConn); ok {
			_ = t.CloseWrite()
		}
		done <- struct{}{}
	}
	go copyTo(out, in)
	go copyTo(in, out)
	<-done
	<-done
}
