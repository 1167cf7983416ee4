package workers

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

const (
	// maxLetter bounds a message between processes, in bytes: a request's head and
	// what came behind it in one read, with room.
	maxLetter = 256 << 10
	// maxFiles bounds the descriptors that come with one.
	maxFiles = 16
	// linkTimeout bounds how long the other end of a link may take to read.
	linkTimeout = 2 * time.Second
)

// State is what a worker tells of itself.
type State struct {
	Connections int  `json:"connections"`
	Limit       int  `json:"limit"`
	Accepting   bool `json:"accepting"`
	Draining    bool `json:"draining"`
	HungLoops   int  `json:"hung_loops,omitempty"`
}

// Totals are the states of all workers, as the parent knows them: a second old.
type Totals struct {
	Workers     int  `json:"workers"` // that are to be
	Up          int  `json:"up"`      // that serve
	Connections int  `json:"connections"`
	Limit       int  `json:"limit"`
	Accepting   bool `json:"accepting"` // one of them does
}

// Share is what a worker is told to be.
type Share struct {
	Index    int    `json:"index"` // from 1
	Count    int    `json:"count"`
	ServerID string `json:"server_id"` // of the whole; see ID
	Dir      string `json:"dir"`
}

// ID is the server id of the worker.
func (s *Share) ID() string { return ID(s.ServerID, s.Index) }

// Part is this worker's part of a number for all, at least 1.
func (s *Share) Part(all int) int {
	n := all / s.Count
	if s.Index <= all%s.Count {
		n++
	}
	return max(n, 1)
}

// ID is the server id of a worker, by its number from 1.
func ID(serverID string, index int) string { return fmt.Sprintf("%s-%d", serverID, index) }

// letter is a message on a link.
type letter struct {
	Share  *Share  `json:"share,omitempty"`  // to the worker, first, with its listening sockets
	Totals *Totals `json:"totals,omitempty"` // to the worker
	State  *State  `json:"state,omitempty"`  // to the parent; the first says that the worker serves
}

// link is one end of the socket pair of a parent and its worker. Several goroutines
// may send; one receives.
type link struct{ conn *net.UnixConn }

func (l link) send(m letter, files ...int) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_ = l.conn.SetWriteDeadline(time.Now().Add(linkTimeout))
	return sendLetter(l.conn, b, files)
}

// receive waits for a message. The caller closes the files.
func (l link) receive() (m letter, files []*os.File, err error) {
	buf := make([]byte, maxLetter)
	n, files, err := receiveLetter(l.conn, buf)
	if err != nil {
		return m, nil, err
	}
	if err := json.Unmarshal(buf[:n], &m); err != nil {
		closeFiles(files)
		return m, nil, fmt.Errorf("workers: a malformed message: %w", err)
	}
	return m, files, nil
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

var (
	errTruncated = errors.New("workers: a message is longer than it may be, or its descriptors could not be had")
	errNotChild  = errors.New("workers: this process was not started as a worker")
)
