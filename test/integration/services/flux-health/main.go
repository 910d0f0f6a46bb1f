// Evaluates the health check in deploy/gitops/flux-kustomization.yaml for objects, as Flux does.
//
// Usage: flux-health KUSTOMIZATION <OBJECTS. The input is a JSON list of objects, and the output a JSON list with the
// status of each object, with the check and without it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling/engine"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/runtime/cel"
	"github.com/fluxcd/pkg/runtime/statusreaders"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

type answer struct {
	Status string `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`
	// The status without the check.
	Plain string `json:"plain"`
}

func main() {
	content, err := os.ReadFile(os.Args[1])
	must(err)
	var kustomization kustomizev1.Kustomization
	// A misspelled field is an error.
	must(yaml.UnmarshalStrict(content, &kustomization))
	readers := readersOf(kustomization)
	var objects []map[string]any
	must(json.NewDecoder(os.Stdin).Decode(&objects))
	answers := []answer{}
	for _, content := range objects {
		answers = append(answers, answerFor(readers, &unstructured.Unstructured{Object: content}))
	}
	must(json.NewEncoder(os.Stdout).Encode(answers))
}

func readersOf(kustomization kustomizev1.Kustomization) []engine.StatusReader {
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(schema.GroupVersionKind{Group: "batch", Version: "v1", Kind: "Job"}, meta.RESTScopeNamespace)
	mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, meta.RESTScopeNamespace)
	newReader, err := cel.NewStatusReader(kustomization.Spec.HealthCheckExprs)
	must(err)
	return []engine.StatusReader{newReader(mapper), statusreaders.NewCustomJobStatusReader(mapper)}
}

func answerFor(readers []engine.StatusReader, object *unstructured.Unstructured) answer {
	plain, err := status.Compute(object)
	must(err)
	for _, reader := range readers {
		if !reader.Supports(object.GroupVersionKind().GroupKind()) {
			continue
		}
		result, err := reader.ReadStatusForObject(context.Background(), nil, object)
		if err == nil {
			err = result.Error
		}
		if err != nil {
			return answer{Error: err.Error(), Plain: string(plain.Status)}
		}
		return answer{Status: string(result.Status), Plain: string(plain.Status)}
	}
	return answer{Error: "no reader", Plain: string(plain.Status)}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
