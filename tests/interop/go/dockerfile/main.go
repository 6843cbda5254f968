// Dockerfile reads Dockerfiles by BuildKit's own parser and prints, as JSON, what each of them says: the syntax
// directive, and every instruction with its flags, its words, its here-documents and its lines.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

type instruction struct {
	Name     string   `json:"name"`
	Flags    []string `json:"flags"`
	Words    []string `json:"words"`
	Heredocs []string `json:"heredocs"`
	First    int      `json:"first"`
	Last     int      `json:"last"`
}

type file struct {
	Error        string        `json:"error,omitempty"`
	Syntax       string        `json:"syntax"`
	Escape       string        `json:"escape"`
	Instructions []instruction `json:"instructions"`
	// What BuildKit makes of them beyond words: whether it takes them as instructions at all.
	Refused string `json:"refused,omitempty"`
}

func read(data []byte) file {
	parsed, err := parser.Parse(bytes.NewReader(data))
	if err != nil {
		return file{Error: err.Error()}
	}
	found := file{Escape: string(parsed.EscapeToken), Instructions: []instruction{}}
	if syntax, _, _, ok := parser.DetectSyntax(data); ok {
		found.Syntax = syntax
	}
	for _, node := range parsed.AST.Children {
		one := instruction{Name: node.Value, Flags: node.Flags, First: node.StartLine, Last: node.EndLine}
		for next := node.Next; next != nil; next = next.Next {
			one.Words = append(one.Words, next.Value)
			// ONBUILD holds an instruction of its own.
			for _, child := range next.Children {
				one.Words = append(one.Words, child.Value)
				one.Flags = append(one.Flags, child.Flags...)
				for word := child.Next; word != nil; word = word.Next {
					one.Words = append(one.Words, word.Value)
				}
			}
		}
		for _, heredoc := range node.Heredocs {
			one.Heredocs = append(one.Heredocs, heredoc.Name+"\n"+heredoc.Content)
		}
		found.Instructions = append(found.Instructions, one)
	}
	if _, _, err := instructions.Parse(parsed.AST, nil); err != nil {
		found.Refused = err.Error()
	}
	return found
}

func main() {
	files := map[string]file{}
	for _, path := range os.Args[1:] {
		data, err := os.ReadFile(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		files[path] = read(data)
	}
	if err := json.NewEncoder(os.Stdout).Encode(files); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
