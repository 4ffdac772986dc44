// Command schemas prints the OpenAPI schemas of the Go types that its arguments name, and of all types within them,
// as one JSON object from type to schema, without upstream's prose.
//
//	go run . kubevirt.io/api/core/v1.VirtualMachine
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"kubevirt.io/client-go/api"
)

func main() {
	definitions := api.GetOpenAPIDefinitions(func(path string) spec.Ref {
		return spec.MustCreateRef("#/definitions/" + friendly(path))
	})
	schemas := map[string]any{}
	for missing := os.Args[1:]; len(missing) > 0; {
		path := missing[0]
		missing = missing[1:]
		if _, done := schemas[friendly(path)]; done {
			continue
		}
		definition, known := definitions[path]
		if !known {
			fmt.Fprintln(os.Stderr, "no such type:", path)
			os.Exit(1)
		}
		schemas[friendly(path)] = plain(definition.Schema)
		missing = append(missing, definition.Dependencies...)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(schemas); err != nil {
		panic(err)
	}
}

func plain(definition spec.Schema) any {
	raw, err := json.Marshal(definition)
	if err != nil {
		panic(err)
	}
	var schema any
	if err := json.Unmarshal(raw, &schema); err != nil {
		panic(err)
	}
	return withoutProse(schema, false)
}

// friendly returns the name of a Go type as a definition's name: "k8s.io/api/core/v1.Affinity" is
// "k8s.io.api.core.v1.Affinity".
func friendly(path string) string {
	return strings.ReplaceAll(path, "/", ".")
}

// withoutProse removes every description, but not the properties that are named so.
func withoutProse(schema any, properties bool) any {
	switch value := schema.(type) {
	case map[string]any:
		kept := map[string]any{}
		for key, item := range value {
			if key != "description" || properties {
				kept[key] = withoutProse(item, key == "properties" && !properties)
			}
		}
		return kept
	case []any:
		for index, item := range value {
			value[index] = withoutProse(item, false)
		}
	}
	return schema
}
