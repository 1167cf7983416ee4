package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// sioFlags are those of the Socket.IO server.
type sioFlags struct {
	SIOPath            string        `name:"sio-path" default:"/socket.io/" placeholder:"PATH" help:"Where Socket.IO is served. Default ${default}."`
	SIOMaxPayload      size          `name:"sio-max-payload" default:"1000000B" placeholder:"SIZE" help:"Largest Socket.IO message and largest body of a POST. Default ${default}."`
	SIOMaxBackpressure size          `name:"sio-max-backpressure" default:"16MiB" placeholder:"SIZE" help:"Bytes that may wait for a slow Socket.IO client; beyond it the session is closed. Default ${default}."`
	SIOParser          string        `name:"sio-parser" enum:"json,msgpack" default:"json" help:"How packets are encoded, json or msgpack: clients must use the same. Default ${default}."`
	SIONamespace       []string      `name:"sio-namespace" placeholder:"NAME" help:"A namespace to serve beside / and those of --sio-relay. Repeatable."`
	SIOAllowJoin       []string      `name:"sio-allow-join" placeholder:"PATTERN" help:"Rooms that every client may join: * within a segment, ** across, {sub} the user id. Repeatable. Default: none."`
	SIORelay           []string      `name:"sio-relay" placeholder:"[NAMESPACE:]EVENT[=PATTERN]" help:"An event that goes to the room in its first argument: from members of rooms that match PATTERN, and from whom a token allows it. Repeatable. Default: none."`
	SIORelayUser       bool          `name:"sio-relay-user" help:"Append the sender's user id, or null, to the arguments of relayed events."`
	SIOMaxRooms        int           `name:"sio-max-rooms" default:"100" placeholder:"N" help:"Rooms that a client may be in by joining. Default ${default}."`
	PingInterval       time.Duration `default:"25s" help:"Time between Socket.IO heartbeats. Default ${default}."`
	PingTimeout        time.Duration `default:"20s" help:"Time to answer one. Default ${default}."`
	ConnectTimeout     time.Duration `default:"45s" help:"Time for a Socket.IO client to join a namespace. Default ${default}."`
	Recovery           time.Duration `default:"0s" help:"How long a Socket.IO client may be away and still get what it missed; 0: off."`
	AllowEIO3          bool          `name:"allow-eio3" help:"Serve clients of Socket.IO 2."`
	CORSOrigin         []string      `name:"cors-origin" placeholder:"ORIGIN" help:"Origins whose pages may read Socket.IO's HTTP answers, or *: headers only, --origins decides who may connect. Default: --origins."`
	CORSCredentials    bool          `name:"cors-credentials" help:"Let pages of those origins send cookies."`
	ServerID           string        `name:"server-id" placeholder:"NAME" help:"This server's name. Default: SERVER_ID, then the host's name."`
	AffinityCookie     string        `name:"affinity-cookie" default:"io" placeholder:"NAME" help:"Cookie with the server's name on Socket.IO handshakes, for load balancers; empty: none. Default ${default}."`
	AtCapacity         string        `name:"at-capacity" enum:"default,http503,close" default:"default" help:"What a client beyond --max-connections gets: http503, close (1008), or by default http503 for Socket.IO and close for WebSockets."`
	ClientDir          string        `name:"client-dir" placeholder:"DIR" help:"Folder with npm's Socket.IO client, to be served as socket.io.js below --sio-path."`
}

// check refuses what can't be meant.
func (f *sioFlags) check() error {
	switch {
	case !strings.HasPrefix(f.SIOPath, "/") || strings.Trim(f.SIOPath, "/") == "" || strings.ContainsAny(f.SIOPath, "{}*?# \t"):
		return usageError(fmt.Errorf("--sio-path %s: want a path such as /socket.io/", f.SIOPath))
	case f.SIOMaxPayload < 0 || f.SIOMaxBackpressure < 0:
		return usageError(fmt.Errorf("--sio-max-payload and --sio-max-backpressure can't be unlimited"))
	case f.SIOMaxRooms < 0:
		return usageError(fmt.Errorf("--sio-max-rooms %d: want 0 or more", f.SIOMaxRooms))
	case f.PingInterval <= 0 || f.PingTimeout <= 0 || f.ConnectTimeout <= 0:
		return usageError(fmt.Errorf("--ping-interval, --ping-timeout and --connect-timeout: want more than 0"))
	case f.Recovery < 0:
		return usageError(fmt.Errorf("--recovery %v: want 0 or more", f.Recovery))
	}
	f.SIOPath = "/" + strings.Trim(f.SIOPath, "/") + "/"
	if f.ServerID == "" {
		f.ServerID = serverID()
	}
	if err := (&http.Cookie{Name: "io", Value: f.ServerID}).Valid(); err != nil {
		return usageError(fmt.Errorf("--server-id %s: it does not fit into a cookie: %w", f.ServerID, err))
	}
	return nil
}

// serverID is this server's name where no flag gives one.
func serverID() string {
	if id := os.Getenv("SERVER_ID"); id != "" {
		return id
	}
	if name, err := os.Hostname(); err == nil {
		return name
	}
	return "wsd"
}

// options are those of the Socket.IO server but for what needs the server.
func (f *sioFlags) options(origins []string) (socketio.Options, error) {
	opts := socketio.Options{
		Engine: engineio.Options{
			PingInterval:    f.PingInterval,
			PingTimeout:     f.PingTimeout,
			MaxPayload:      int(f.SIOMaxPayload),
			MaxBackpressure: int(f.SIOMaxBackpressure),
			AllowEIO3:       f.AllowEIO3,
			ServerID:        f.ServerID,
		},
		ConnectTimeout: f.ConnectTimeout,
	}
	if f.SIOParser == "msgpack" {
		opts.Parser = socketio.Msgpack
	}
	if f.Recovery > 0 {
		opts.Recovery = &socketio.RecoveryOptions{MaxDisconnection: f.Recovery, RunMiddlewares: true}
	}
	if f.AffinityCookie != "" {
		cookie := &http.Cookie{Name: f.AffinityCookie, Value: f.ServerID, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
		if err := cookie.Valid(); err != nil {
			return opts, usageError(fmt.Errorf("--affinity-cookie %s: %w", f.AffinityCookie, err))
		}
		opts.Engine.Affinity = cookie
	}
	cors, err := f.cors(origins)
	opts.Engine.CORS = cors
	return opts, err
}

// cors are the origins of --cors-origin, or else those of --origins: their
// pages may connect, so they need to read the answers.
func (f *sioFlags) cors(origins []string) (*engineio.CORS, error) {
	name, given := "--cors-origin", f.CORSOrigin
	if len(given) == 0 {
		name, given = "--origins", origins
	}
	if len(given) == 0 {
		return nil, nil
	}
	c := &engineio.CORS{Credentials: f.CORSCredentials}
	for _, origin := range given {
		if origin == "*" {
			if f.CORSCredentials {
				return nil, usageError(fmt.Errorf("--cors-credentials with %s *: browsers refuse that; name the origins", name))
			}
			c.Origins = []string{"*"}
			return c, nil
		}
		canonical, err := canonicalOrigin(origin)
		if err != nil {
			return nil, usageError(fmt.Errorf("%s %s: %w", name, origin, err))
		}
		c.Origins = append(c.Origins, canonical)
	}
	return c, nil
}
