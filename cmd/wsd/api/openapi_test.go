package api

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// schema is the part of OpenAPI's that bodies use.
type schema struct {
	Ref        string             `yaml:"$ref"`
	Type       string             `yaml:"type"`
	Properties map[string]*schema `yaml:"properties"`
	Additional *bool              `yaml:"additionalProperties"`
	Items      *schema            `yaml:"items"`
	Required   []string           `yaml:"required"`
}

// content is a body by its media type.
type content map[string]struct{ Schema schema }

// description is openapi.yaml.
type description struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Ref      string `yaml:"$ref"`
			Name, In string
		}
		RequestBody *struct{ Content content } `yaml:"requestBody"`
		Responses   map[string]struct{ Content content }
	}
	Components struct {
		Parameters map[string]struct{ Name, In string }
		Schemas    map[string]*schema
	}
}

func parseDescription(t *testing.T) *description {
	t.Helper()
	d := new(description)
	if err := yaml.Unmarshal(Description, d); err != nil {
		t.Fatal(err)
	}
	return d
}

// The routes are those of the description, with their methods, parameters and
// fields.
func TestDescriptionMatchesRoutes(t *testing.T) {
	d := parseDescription(t)
	described := map[string]bool{}
	for path, ops := range d.Paths {
		for method := range ops {
			described[strings.ToUpper(method)+" "+path] = true
		}
	}
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
			d.holds(t, name, &s, reflect.TypeOf(r.body).Elem())
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

// Every answer's type is described as it is.
func TestDescriptionMatchesAnswers(t *testing.T) {
	d := parseDescription(t)
	for _, v := range []any{
		Published{}, BatchResult{}, Emitted{}, Disconnected{}, Draining{}, Connections{}, Connection{}, Rooms{}, Topics{}, User{}, Nodes{}, Error{},
	} {
		typ := reflect.TypeOf(v)
		d.holds(t, typ.Name(), &schema{Ref: "#/components/schemas/" + typ.Name()}, typ)
	}
}

// holds compares a schema with a Go type.
func (d *description) holds(t *testing.T, where string, s *schema, typ reflect.Type) {
	t.Helper()
	if ref, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		if s = d.Components.Schemas[ref]; s == nil {
			t.Errorf("%s: no schema %s", where, ref)
			return
		}
	}
	switch typ.Kind() {
	case reflect.Pointer:
		d.holds(t, where, s, typ.Elem())
	case reflect.Slice:
		if typ.Elem().Kind() == reflect.Uint8 {
			return // any JSON
		}
		if s.Type != "array" || s.Items == nil {
			t.Errorf("%s: want an array", where)
			return
		}
		d.holds(t, where+"[]", s.Items, typ.Elem())
	case reflect.Struct:
		if typ.String() == "time.Time" {
			return
		}
		d.holdsFields(t, where, s, typ)
	default:
		want := map[reflect.Kind]string{reflect.String: "string", reflect.Bool: "boolean", reflect.Int: "integer"}[typ.Kind()]
		if s.Type != want {
			t.Errorf("%s: type %q is described, it is %q", where, s.Type, want)
		}
	}
}

func (d *description) holdsFields(t *testing.T, where string, s *schema, typ reflect.Type) {
	t.Helper()
	if s.Type != "object" || s.Additional == nil || *s.Additional {
		t.Errorf("%s: want an object without additional properties", where)
	}
	seen := map[string]bool{}
	for _, f := range reflect.VisibleFields(typ) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || name == "-" {
			continue
		}
		seen[name] = true
		p := s.Properties[name]
		if p == nil {
			t.Errorf("%s: field %q is not described", where, name)
			continue
		}
		if required := options == ""; required != slices.Contains(s.Required, name) {
			t.Errorf("%s: whether %q is required is described wrongly", where, name)
		}
		d.holds(t, where+"."+name, p, f.Type)
	}
	for name := range s.Properties {
		if !seen[name] {
			t.Errorf("%s: field %q is described, and there is none", where, name)
		}
	}
}
