package cluster

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

var (
	tableFile = flag.String("table", "", "write the table of what held to this file, in Markdown")
	updateDoc = flag.String("update", "", "put the table into this document, between its markers")
)

// Markers enclose the table in a document.
const (
	tableBegin = "<!-- cluster-matrix -->\n"
	tableEnd   = "<!-- /cluster-matrix -->\n"
)

// results are what the calls of TestMatrix came to, of all kinds and directions.
type results struct {
	mu    sync.Mutex
	cells map[resultKey]*result
}

type resultKey struct {
	call, kind string
	from, to   maker
}

type result struct{ ran, failed int }

var table = &results{cells: map[resultKey]*result{}}

// directionsOf are the directions in a cell of the table, by maker.
var (
	amongServers = [][2]maker{{node, wsd}, {wsd, node}, {wsd, wsd}, {node, node}}
	fromEmitter  = [][2]maker{{emitter, wsd}, {emitter, node}}
)

// emitter is npm's, in the place of a server.
const emitter maker = "emitter"

var makers = map[string]maker{"redis": node, "ioredis": node, "wsd1": wsd, "wsd2": wsd, "emitter": emitter}

// add takes the outcome of a check.
func (r *results) add(kind string, l *line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := resultKey{l.Call, kind, makers[l.From], makers[l.To]}
	if r.cells[key] == nil {
		r.cells[key] = &result{}
	}
	r.cells[key].ran++
	if l.Error != "" {
		r.cells[key].failed++
	}
}

// mark is the outcome of a cell: how many of its checks held if not all did.
func (r *results) mark(key resultKey) string {
	cell := r.cells[key]
	switch {
	case cell == nil:
		return "–"
	case cell.failed == 0:
		return "✓"
	}
	return fmt.Sprintf("%d/%d", cell.ran-cell.failed, cell.ran)
}

// markdown are the tables: servers among themselves, and npm's emitter.
func (r *results) markdown() []byte {
	var b bytes.Buffer
	b.WriteString("In each cell: Node to wsd, wsd to Node, wsd to wsd, Node to Node.\n\n")
	r.markdownOf(&b, kinds, amongServers)
	b.WriteString("\nnpm's emitter; in each cell: to wsd, to Node.\n\n")
	r.markdownOf(&b, kinds[:2], fromEmitter)
	return b.Bytes()
}

// markdownOf is a table with a line for each call that was made, and a column for
// each kind.
func (r *results) markdownOf(b *bytes.Buffer, kinds []kind, directions [][2]maker) {
	b.WriteString("| call |")
	for _, k := range kinds {
		fmt.Fprintf(b, " %s |", k.title)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(kinds)) + "\n")
	for _, c := range calls {
		line, made := "", false
		for _, k := range kinds {
			cell, ran := r.cell(c.name, k.name, directions)
			line += " " + cell + " |"
			made = made || ran
		}
		if made {
			fmt.Fprintf(b, "| %s |%s\n", c.title, line)
		}
	}
}

// cell is the outcome of a call in all directions, and whether it was made in any.
func (r *results) cell(call, kind string, directions [][2]maker) (text string, ran bool) {
	var marks []string
	for _, d := range directions {
		key := resultKey{call, kind, d[0], d[1]}
		ran = ran || r.cells[key] != nil
		marks = append(marks, r.mark(key))
	}
	if !ran {
		return "–", false
	}
	return strings.Join(marks, " "), true
}

// write puts the table where the flags say.
func (r *results) write() error {
	text := r.markdown()
	if *tableFile != "" {
		if err := os.WriteFile(*tableFile, text, 0o644); err != nil {
			return err
		}
	}
	if *updateDoc == "" {
		return nil
	}
	doc, err := os.ReadFile(*updateDoc)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(doc, []byte(tableBegin))
	_, after, closed := bytes.Cut(rest, []byte(tableEnd))
	if !ok || !closed {
		return fmt.Errorf("%s: no markers %s and %s", *updateDoc, strings.TrimSpace(tableBegin), strings.TrimSpace(tableEnd))
	}
	return os.WriteFile(*updateDoc, slices.Concat(before, []byte(tableBegin), text, []byte(tableEnd), after), 0o644)
}
