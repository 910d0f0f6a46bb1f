// Evaluates the health check in deploy/gitops/argocd-cm.yaml for objects, in a Lua machine like that of Argo CD: the same
// library, only the libraries `package`, `base` and `table`, and one second.
//
// Usage: argo-health ARGOCD-CM <OBJECTS. The input is a JSON list of objects, and the output a JSON list of healths.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
	"sigs.k8s.io/yaml"
)

type answer struct {
	Status  string `json:"status,omitempty"`
	Message string `json:"message,omitempty"`
	Error   string `json:"error,omitempty"`
}

func main() {
	content, err := os.ReadFile(os.Args[1])
	must(err)
	var configMap struct {
		Data map[string]string `json:"data"`
	}
	must(yaml.Unmarshal(content, &configMap))
	script := configMap.Data["resource.customizations.health.ConfigMap"]
	var objects []map[string]any
	must(json.NewDecoder(os.Stdin).Decode(&objects))
	answers := []answer{}
	for _, object := range objects {
		result, err := evaluate(script, object)
		if err != nil {
			result = answer{Error: err.Error()}
		}
		answers = append(answers, result)
	}
	must(json.NewEncoder(os.Stdout).Encode(answers))
}

func evaluate(script string, object map[string]any) (answer, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage},
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
	} {
		call := lua.P{Fn: state.NewFunction(library.open), NRet: 0, Protect: true}
		if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
			return answer{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", toLua(state, object))
	if err := state.DoString(script); err != nil {
		return answer{}, err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return answer{}, fmt.Errorf("the script returns no table")
	}
	return answer{Status: fieldOf(table, "status"), Message: fieldOf(table, "message")}, nil
}

func fieldOf(table *lua.LTable, name string) string {
	if text, ok := table.RawGetString(name).(lua.LString); ok {
		return string(text)
	}
	return ""
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch converted := value.(type) {
	case bool:
		return lua.LBool(converted)
	case float64:
		return lua.LNumber(converted)
	case string:
		return lua.LString(converted)
	case []any:
		table := state.NewTable()
		for _, item := range converted {
			table.Append(toLua(state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, item := range converted {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	}
	return lua.LNil
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
