package socketio_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// requests are as Stats has them.
type requests = [socketio.RequestDisconnect + 1][socketio.RequestFailed + 1]uint64

// wantRequests holds a server's counts against some.
func wantRequests(t *testing.T, srv *server, want requests) {
	t.Helper()
	for of, results := range srv.Stats().Requests {
		for result, n := range results {
			if n != want[of][result] {
				t.Errorf("%v, %v: counted %d, want %d", socketio.RequestType(of), socketio.RequestResult(result), n, want[of][result])
			}
		}
	}
}

// Requests that nobody answers are counted as well, and those that nobody took.
func TestRequestsAreCounted(t *testing.T) {
	nodes := broker.NewMemoryCluster()
	for _, x := range []struct {
		name    string
		cluster broker.Cluster
		result  socketio.RequestResult
	}{
		{"taken", nodes, socketio.RequestOK},
		{"not taken", deaf{nodes}, socketio.RequestFailed},
	} {
		t.Run(x.name, func(t *testing.T) {
			srv := serve(t, socketio.Options{Cluster: x.cluster}, nil)
			_ = srv.SocketsJoin("r")
			_ = srv.To("r").SocketsLeave("r")
			_ = srv.DisconnectSockets(false)
			_ = srv.ServerSideEmit("e")
			_, _ = srv.EmitWithAck(t.Context(), "e")
			_ = srv.Local().SocketsJoin("r") // no request
			_, _ = srv.LocalRooms(t.Context())
			var want requests
			for _, of := range []socketio.RequestType{socketio.RequestJoin, socketio.RequestLeave, socketio.RequestDisconnect, socketio.RequestServerSideEmit, socketio.RequestAcks} {
				want[of][x.result] = 1
			}
			wantRequests(t, srv, want)
		})
	}
}

// Who does not wait is no sign that the others are silent.
func TestRequestsThatWereCanceled(t *testing.T) {
	nodes := &mute{Cluster: broker.NewMemoryCluster(), members: broker.Members{Others: 1}}
	srv := serve(t, socketio.Options{Cluster: nodes, RequestTimeout: time.Hour}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := srv.FetchSockets(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("FetchSockets: %v", err)
	}
	if _, err := srv.EmitWithAck(ctx, "e"); !errors.Is(err, context.Canceled) {
		t.Errorf("EmitWithAck: %v", err)
	}
	var want requests
	want[socketio.RequestFetchSockets][socketio.RequestCanceled] = 1
	want[socketio.RequestAcks][socketio.RequestCanceled] = 1
	wantRequests(t, srv, want)
}
