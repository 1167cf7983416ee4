package api

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// The routes are those of the description, with their methods, parameters and
// fields.
func TestDescriptionMatchesRoutes(t *testing.T) {
	d := testkit.ParseOpenAPI(t, Description)
	described := d.Operations()
	for _, r := range New(Options{}).table() {
		name := r.method + " " + r.path
		if !described[name] {
			t.Errorf("%s is not described", name)
			continue
		}
		delete(described, name)
		op := d.Paths[r.path][strings.ToLower(r.method)]
		query, keyed := []string{}, false
		for _, p := range op.Parameters {
			name, in := p.Name, p.In
			if ref, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
				name, in = d.Components.Parameters[ref].Name, d.Components.Parameters[ref].In
			}
			switch in {
			case "query":
				query = append(query, name)
			case "header":
				keyed = keyed || name == "Idempotency-Key"
			}
		}
		slices.Sort(query)
		if want := slices.Sorted(slices.Values(r.query)); !slices.Equal(query, want) {
			t.Errorf("%s: parameters %q are described, it takes %q", name, query, want)
		}
		if keyed != r.idempotent {
			t.Errorf("%s: whether it takes an idempotency key is described wrongly", name)
		}
		if (op.RequestBody != nil) != (r.body != nil) {
			t.Errorf("%s: whether there is a body is described wrongly", name)
		} else if r.body != nil {
			s := op.RequestBody.Content["application/json"].Schema
			d.Holds(t, name, &s, reflect.TypeOf(r.body).Elem())
		}
		status := "200"
		if r.status != 0 {
			status = fmt.Sprint(r.status)
		}
		if _, ok := op.Responses[status]; !ok {
			t.Errorf("%s: status %s is not described", name, status)
		}
		if r.method == http.MethodPost {
			for _, status := range []string{"400", "413", "415"} {
				if _, ok := op.Responses[status]; !ok {
					t.Errorf("%s: status %s is not described", name, status)
				}
			}
		}
	}
	for name := range described {
		t.Errorf("%s is described, and there is no such route", name)
	}
}

// Every answer's type is described as it is; those that Options make are held where
// they are.
func TestDescriptionMatchesAnswers(t *testing.T) {
	d := testkit.ParseOpenAPI(t, Description)
	for _, v := range []any{
		Published{}, BatchResult{}, Emitted{}, Disconnected{}, Draining{}, Connections{}, Connection{}, Rooms{}, Topics{}, User{}, Nodes{}, Error{},
	} {
		d.Names(t, reflect.TypeOf(v).Name(), v)
	}
}
