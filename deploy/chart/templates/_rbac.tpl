{{- /*
The rules that `secretbridge rbac` prints, computed from the values. It repeats src/cluster/rbac-rules.ts in Helm templates, and a
test compares the two.
*/ -}}

{{- /* (config, mapping) -> its rights on its Secret, as JSON. */ -}}
{{- define "secretbridge.rights" -}}
{{- $defaults := (index . 0).defaults | default dict -}}
{{- $mapping := index . 1 -}}
{{- $missing := $mapping.onSourceMissing | default $defaults.onSourceMissing | default "keep" -}}
{{- $removed := $mapping.onMappingRemoved | default $defaults.onMappingRemoved | default "keep" -}}
{{- $merges := eq ($mapping.target.mode | default "own") "merge" -}}
{{- $deletes := or $mapping.target.recreate (ne $missing "keep") (eq $removed "delete") -}}
{{- dict "secret" ($mapping.target.secret | default $mapping.name) "merges" $merges "deletes" (and $deletes (not $merges) | ternary true false) "restarts" ($mapping.restart | default list) | toJson -}}
{{- end -}}

{{- /* (rules with `namespaces`, namespace) -> "true" if a rule allows it. Patterns match the whole name, which has no `/`. */ -}}
{{- define "secretbridge.allows" -}}
{{- $namespace := index . 1 -}}
{{- $found := false -}}
{{- range index . 0 -}}
{{- range .namespaces -}}
{{- if regexMatch (printf "^%s$" (regexQuoteMeta . | replace "\\*" ".*")) $namespace }}{{ $found = true }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if $found }}true{{ end -}}
{{- end -}}

{{- /* (targets, scope) -> rules, as JSON. */ -}}
{{- define "secretbridge.rules" -}}
{{- $scope := index . 1 -}}
{{- /* Names are dict keys, because `uniq` and `append` on lists take quadratic time. */ -}}
{{- $owned := dict -}}
{{- $merged := dict -}}
{{- $deleted := dict -}}
{{- $restarts := list -}}
{{- range index . 0 -}}
{{- $_ := set (ternary $merged $owned .merges) .secret true -}}
{{- if .deletes }}{{ $_ := set $deleted .secret true }}{{ end -}}
{{- if .restarts }}{{ $restarts = concat $restarts .restarts }}{{ end -}}
{{- end -}}
{{- $all := merge (dict) $owned $merged | keys | sortAlpha -}}
{{- $owned = keys $owned | sortAlpha -}}
{{- $merged = keys $merged | sortAlpha -}}
{{- $deleted = keys $deleted | sortAlpha -}}
{{- $rights := list (list "get" $all) (list "list" $all) (list "watch" $all) (list "update" $owned) (list "patch" $merged) (list "delete" $deleted) -}}
{{- $secrets := dict "apiGroups" (list "") "resources" (list "secrets") -}}
{{- $rules := list -}}
{{- $groups := dict -}}
{{- $order := list -}}
{{- $verbs := list -}}
{{- range $rights -}}
{{- $verb := index . 0 -}}
{{- $names := index . 1 -}}
{{- if $names -}}
{{- $verbs = append $verbs $verb -}}
{{- $id := join " " $names -}}
{{- if not (hasKey $groups $id) }}{{ $order = append $order $id }}{{ end -}}
{{- $_ := set $groups $id (append (get $groups $id | default list) $verb) -}}
{{- end -}}
{{- end -}}
{{- if eq $scope "namespace" -}}
{{- if $owned }}{{ $verbs = append $verbs "create" }}{{ end -}}
{{- $rules = append $rules (merge (dict "verbs" $verbs) $secrets) -}}
{{- else -}}
{{- range $order -}}
{{- $rules = append $rules (merge (dict "resourceNames" (splitList " " .) "verbs" (get $groups .)) $secrets) -}}
{{- end -}}
{{- /* `create` cannot be limited by name, because Kubernetes authorizes a POST before it knows the name. */ -}}
{{- if $owned }}{{ $rules = append $rules (merge (dict "verbs" (list "create")) $secrets) }}{{ end -}}
{{- end -}}
{{- $apis := list (list "Deployment" "apps" "deployments") (list "StatefulSet" "apps" "statefulsets") (list "DaemonSet" "apps" "daemonsets") (list "Rollout" "argoproj.io" "rollouts") -}}
{{- range $apis -}}
{{- $kind := index . 0 -}}
{{- $wanted := 0 -}}
{{- $names := list -}}
{{- range $restarts -}}
{{- if eq .kind $kind -}}
{{- $wanted = add1 $wanted -}}
{{- if .name }}{{ $names = append $names .name }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if $wanted -}}
{{- $rule := dict "apiGroups" (list (index . 1)) "resources" (list (index . 2)) -}}
{{- if lt (len $names) (int $wanted) -}}
{{- /* Rights cannot be limited by labels, so a selector needs every workload of its kind. */ -}}
{{- $rules = append $rules (merge (dict "verbs" (list "get" "list" "patch")) $rule) -}}
{{- else -}}
{{- $rules = append $rules (merge (dict "resourceNames" ($names | uniq | sortAlpha) "verbs" (list "get" "patch")) $rule) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $rules -}}
{{- end -}}

{{- /* The names of Secrets in the `secretRef`s of a value, each followed by a space. */ -}}
{{- define "secretbridge.secretRefs" -}}
{{- if kindIs "map" . -}}
{{- if kindIs "map" .secretRef }}{{ if kindIs "string" .secretRef.name }}{{ .secretRef.name }} {{ end }}{{ end -}}
{{- range . }}{{ include "secretbridge.secretRefs" . }}{{ end -}}
{{- else if kindIs "slice" . -}}
{{- range . }}{{ include "secretbridge.secretRefs" . }}{{ end -}}
{{- end -}}
{{- end -}}
