{{- /* (root, kind, name, namespace, annotations, rules, bind) -> a Role or ClusterRole, and its binding. */ -}}
{{- define "secretbridge.role" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- include "secretbridge.labels" .root | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
rules:
  {{- toYaml .rules | nindent 2 }}
{{- if .bind }}
{{- include "secretbridge.binding" . }}
{{- end }}
{{- end }}

{{- define "secretbridge.binding" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .bindingKind | default (printf "%sBinding" .kind) }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- include "secretbridge.labels" .root | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "secretbridge.serviceAccount" .root | quote }}
    namespace: {{ .root.Release.Namespace | quote }}
{{- end }}

{{- /*
(root, config, suffix, annotations) -> all Roles and bindings of the configuration. The suffix ends each name.
*/ -}}
{{- define "secretbridge.rbac" }}
{{- $root := .root }}
{{- $config := .config }}
{{- $in := pick . "root" "annotations" }}
{{- $suffix := .suffix }}
{{- $scope := $config.cluster.scope | default "namespace" }}
{{- $name := printf "secretbridge-%s" $config.instance }}
{{- $entries := list }}
{{- range $config.mappings }}
{{- $entries = append $entries (dict "mapping" . "bounds" list) }}
{{- end }}
{{- range $root.Values.tenants }}
{{- $tenant := . }}
{{- range .mappings }}
{{- $entries = append $entries (dict "mapping" . "bounds" (list $tenant)) }}
{{- end }}
{{- end }}
{{- $targets := dict }}
{{- $selected := list }}
{{- range $entries }}
{{- $bounds := .bounds }}
{{- $target := .mapping.target }}
{{- $rights := include "secretbridge.rights" (list $config .mapping) | fromJson }}
{{- if $target.namespaceSelector }}
{{- $selected = append $selected $rights }}
{{- end }}
{{- range $target.namespaces | default (list $target.namespace | compact) }}
{{- $allowed := or (not (hasKey $config "access")) (include "secretbridge.allows" (list $config.access .)) }}
{{- $bounded := or (not $bounds) (include "secretbridge.allows" (list $bounds .)) }}
{{- if and $allowed $bounded }}
{{- $_ := set $targets . (append (get $targets . | default list) $rights) }}
{{- end }}
{{- end }}
{{- end }}
{{- /* Teams may add a Secret in the namespaces of their ConfigMaps at any time, so its name is not known. */}}
{{- $teams := dict }}
{{- $findsTeams := false }}
{{- $anySecret := list }}
{{- if eq $scope "namespace" }}
{{- $anySecret = list (dict "secret" "*" "merges" false "deletes" true) (dict "secret" "*" "merges" true "deletes" false) }}
{{- end }}
{{- range $config.include }}
{{- if .configMaps }}
{{- range .namespaces }}
{{- if contains "*" . }}
{{- $findsTeams = true }}
{{- else if not (hasKey $teams .) }}
{{- $_ := set $teams . true }}
{{- if $anySecret }}
{{- $_ := set $targets . (concat (get $targets . | default list) $anySecret) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- $teamRules := list (dict "apiGroups" (list "") "resources" (list "configmaps") "verbs" (list "get" "list" "watch")) (dict "apiGroups" (list "") "resources" (list "namespaces") "verbs" (list "get")) (dict "apiGroups" (list "") "resources" (list "events") "verbs" (list "create" "patch")) }}
{{- range $namespace, $list := $targets }}
{{- $rules := include "secretbridge.rules" (list $list $scope) | fromJsonArray }}
{{- include "secretbridge.role" (merge (dict "kind" "Role" "name" (printf "%s%s" $name $suffix) "namespace" $namespace "rules" $rules "bind" true) $in) }}
{{- end }}
{{- range $namespace, $_ := $teams }}
{{- include "secretbridge.role" (merge (dict "kind" "Role" "name" (printf "%s-config-maps%s" $name $suffix) "namespace" $namespace "rules" $teamRules "bind" true) $in) }}
{{- end }}
{{- $refs := include "secretbridge.secretRefs" (omit $config "mappings" "access") | trim | splitList " " | compact | uniq | sortAlpha }}
{{- if $refs }}
{{- $rules := list (dict "apiGroups" (list "") "resources" (list "secrets") "resourceNames" $refs "verbs" (list "get")) }}
{{- include "secretbridge.role" (merge (dict "kind" "Role" "name" (printf "%s-credentials%s" $name $suffix) "namespace" $root.Release.Namespace "rules" $rules "bind" true) $in) }}
{{- end }}
{{- $maps := dict }}
{{- range $config.audit.checkpoints }}
{{- if eq .kind "configMap" }}
{{- $namespace := .namespace | default $root.Release.Namespace }}
{{- $_ := set $maps $namespace (append (get $maps $namespace | default list) .name) }}
{{- end }}
{{- end }}
{{- range $namespace, $names := $maps }}
{{- $configMaps := dict "apiGroups" (list "") "resources" (list "configmaps") }}
{{- $rules := list (merge (dict "resourceNames" ($names | uniq | sortAlpha) "verbs" (list "get" "update")) $configMaps) (merge (dict "verbs" (list "create")) $configMaps) }}
{{- include "secretbridge.role" (merge (dict "kind" "Role" "name" (printf "%s-checkpoints%s" $name $suffix) "namespace" $namespace "rules" $rules "bind" true) $in) }}
{{- end }}
{{- if $findsTeams }}{{ $selected = concat $selected $anySecret }}{{ end }}
{{- $narrow := $root.Values.rbac.selectedNamespaces }}
{{- if or $selected $findsTeams }}
{{- $rules := list (dict "apiGroups" (list "") "resources" (list "namespaces") "verbs" (list "list" "watch")) }}
{{- include "secretbridge.role" (merge (dict "kind" "ClusterRole" "name" (printf "%s-namespaces%s" $name $suffix) "rules" $rules "bind" true) $in) }}
{{- end }}
{{- /* Kubernetes cannot limit rights by namespace labels. A ClusterRoleBinding applies in every namespace. */}}
{{- $wide := list }}
{{- if $findsTeams }}
{{- $wide = append $wide (merge (dict "kind" "ClusterRole" "name" (printf "%s-config-maps%s" $name $suffix) "rules" $teamRules) $in) }}
{{- end }}
{{- if $selected }}
{{- $rules := include "secretbridge.rules" (list $selected $scope) | fromJsonArray }}
{{- $wide = append $wide (merge (dict "kind" "ClusterRole" "name" (printf "%s-selected%s" $name $suffix) "rules" $rules) $in) }}
{{- end }}
{{- range $role := $wide }}
{{- include "secretbridge.role" (merge (dict "bind" (not $narrow)) $role) }}
{{- range $narrow }}
{{- include "secretbridge.binding" (merge (dict "bindingKind" "RoleBinding" "namespace" .) $role) }}
{{- end }}
{{- end }}
{{- if $config.http.kubernetes }}
{{- $rules := list (dict "apiGroups" (list "authentication.k8s.io") "resources" (list "tokenreviews") "verbs" (list "create")) (dict "apiGroups" (list "authorization.k8s.io") "resources" (list "subjectaccessreviews") "verbs" (list "create")) }}
{{- include "secretbridge.role" (merge (dict "kind" "ClusterRole" "name" (printf "%s-reviews%s" $name $suffix) "rules" $rules "bind" true) $in) }}
{{- end }}
{{- end }}
