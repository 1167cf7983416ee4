// Package conf reads settings from the places below the command line, the
// environment and a file, and tells where each one came from.
package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// File is a YAML file whose keys are names of flags without dashes in front.
type File struct {
	name    string
	entries map[string]entry
	order   []string // keys as they stand in the file
}

// entry is what a key has: a text, or a list of them.
type entry struct {
	line int
	text string
	list []string
	many bool
	kind string // of the text: the YAML tag
}

// value is what kong decodes: a string, or a list of strings as []any.
func (e entry) value() any {
	if !e.many {
		return e.text
	}
	all := make([]any, len(e.list))
	for i, text := range e.list {
		all[i] = text
	}
	return all
}

// ReadFile reads a file. Whether its keys are known is up to Layers.Check.
func ReadFile(name string) (*File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: more than %d bytes", name, maxFile)
	}
	return parse(name, text)
}

func parse(name string, text []byte) (*File, error) {
	file := &File{name: name, entries: map[string]entry{}}
	var doc yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return file, nil // nothing but comments
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one document", name)
	}
	root := resolve(doc.Content[0])
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return file, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: want lines such as max-payload: 16KiB", name, root.Line)
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if err := file.add(root.Content[i], root.Content[i+1]); err != nil {
			return nil, err
		}
	}
	return file, nil
}

// add takes one key with what it has.
func (f *File) add(key, value *yaml.Node) error {
	name := key.Value
	if key.Kind != yaml.ScalarNode || name == "<<" {
		return fmt.Errorf("%s:%d: want a name as the key", f.name, key.Line)
	}
	if before, twice := f.entries[name]; twice {
		return fmt.Errorf("%s:%d: %s stands in line %d already", f.name, key.Line, name, before.line)
	}
	value = resolve(value)
	e := entry{line: key.Line, kind: value.Tag}
	switch {
	case value.Kind == yaml.ScalarNode && value.Tag == "!!null":
		return fmt.Errorf("%s:%d: %s has no value", f.name, key.Line, name)
	case value.Kind == yaml.ScalarNode:
		e.text = value.Value
	case value.Kind == yaml.SequenceNode:
		e.many = true
		for _, item := range value.Content {
			if item = resolve(item); item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
				return fmt.Errorf("%s:%d: %s: want texts in the list", f.name, item.Line, name)
			}
			e.list = append(e.list, item.Value)
		}
	default:
		return fmt.Errorf("%s:%d: %s: want a value or a list, not keys below it", f.name, key.Line, name)
	}
	f.entries[name] = e
	f.order = append(f.order, name)
	return nil
}

// at is where a key stands, as file:line.
func (f *File) at(key string) string { return fmt.Sprintf("%s:%d", f.name, f.entries[key].line) }

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
