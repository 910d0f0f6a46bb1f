{{- /* (root, config, name, annotations) -> the ConfigMaps of the configuration, with names that begin with `name`. */ -}}
{{- define "secretbridge.configMaps" }}
{{- $in := . }}
{{- include "secretbridge.configMap" (merge (dict "suffix" "config" "file" "secretbridge.yaml" "text" (omit .config "mappings" | toPrettyJson)) $in) }}
{{- /*
The names include the number of ConfigMaps, and a mapping stays in its ConfigMap while this number stays. So during an update no
mapping is missing, which would look like a removed mapping.
*/}}
{{- $chunks := include "secretbridge.chunks" .config | int }}
{{- $parts := dict }}
{{- range .config.mappings }}
{{- $part := mod (adler32sum .name | int64) $chunks | toString }}
{{- $_ := set $parts $part (append (get $parts $part | default list) .) }}
{{- end }}
{{- range $part := until $chunks }}
{{- $text := dict "apiVersion" $in.config.apiVersion "mappings" (get $parts (toString $part) | default list) | toPrettyJson }}
{{- if gt (len $text) 1000000 }}
{{- fail "these mappings do not fit into ConfigMaps of 1 MiB" }}
{{- end }}
{{- include "secretbridge.configMap" (merge (dict "suffix" (printf "mappings-%d-%d" $chunks $part) "file" (printf "mappings-%d.yaml" $part) "text" $text) $in) }}
{{- end }}
{{- range .root.Values.tenants }}
{{- $text := dict "apiVersion" $in.config.apiVersion "mappings" .mappings | toPrettyJson }}
{{- if gt (len $text) 1000000 }}
{{- fail (printf "tenants: the mappings of %s do not fit into a ConfigMap of 1 MiB. Split it into two entries" .name) }}
{{- end }}
{{- include "secretbridge.configMap" (merge (dict "suffix" (printf "tenant-%s" .name) "file" (printf "%s.yaml" .name) "text" $text) $in) }}
{{- end }}
{{- end }}

{{- define "secretbridge.configMap" }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .name }}-{{ .suffix }}
  labels:
    {{- include "secretbridge.labels" .root | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
data:
  {{ .file }}: |-
    {{- .text | nindent 4 }}
{{- end }}

{{- /*
(root, config, name) -> the volumes with these ConfigMaps. Each ConfigMap gives only the file of its own name. Without `items`,
another key in a tenant's ConfigMap would replace the file of another tenant. A tenant's key is optional, because a missing key
would stop the updates of all files and the start of new pods.
*/ -}}
{{- define "secretbridge.configVolumes" -}}
{{- $in := . -}}
{{- $chunks := include "secretbridge.chunks" .config | int -}}
- name: config
  projected:
    sources:
      - configMap: { name: {{ .name }}-config, items: [ { key: secretbridge.yaml, path: secretbridge.yaml } ] }
      {{- range $part := until $chunks }}
      {{- $file := printf "mappings-%d.yaml" $part }}
      - configMap: { name: {{ $in.name }}-mappings-{{ $chunks }}-{{ $part }}, items: [ { key: {{ $file }}, path: {{ $file }} } ] }
      {{- end }}
{{- with .root.Values.tenants }}
- name: tenants
  projected:
    sources:
      {{- range . }}
      {{- $file := printf "%s.yaml" .name | quote }}
      - configMap: { name: {{ $in.name }}-tenant-{{ .name }}, optional: true, items: [ { key: {{ $file }}, path: {{ $file }} } ] }
      {{- end }}
{{- end }}
{{- end -}}

{{- define "secretbridge.configMounts" -}}
- { name: config, mountPath: /etc/secretbridge, readOnly: true }
{{- if .Values.tenants }}
- { name: tenants, mountPath: /etc/secretbridge-tenants, readOnly: true }
{{- end }}
{{- end -}}
