{{- /* The configuration of the pods, as JSON. It is computed once, because it can be large and most templates use it. */ -}}
{{- define "secretbridge.config" -}}
{{- if not (hasKey .Values "madeConfig") }}{{ $_ := set .Values "madeConfig" (include "secretbridge.makeConfig" .) }}{{ end -}}
{{- .Values.madeConfig -}}
{{- end -}}

{{- /*
The values, completed by the settings that a pod needs. JSON reads the same in YAML 1.2, unlike Helm's own YAML (`0o17`, `1e3`).
*/ -}}
{{- define "secretbridge.makeConfig" -}}
{{- $config := deepCopy .Values.config -}}
{{- $audit := $config.audit | default dict -}}
{{- $store := $audit.store | default (dict "kind" "sqlite") -}}
{{- if eq $store.kind "sqlite" -}}
{{- $_ := set $store "path" ($store.path | default "/var/lib/secretbridge/audit.db") -}}
{{- if not (hasPrefix "/var/lib/secretbridge/" $store.path) -}}
{{- fail "config.audit.store.path must be below /var/lib/secretbridge/, the mount of the volume" -}}
{{- end -}}
{{- end -}}
{{- $_ := set $audit "store" $store -}}
{{- $_ := set $config "audit" $audit -}}
{{- $_ := set $config "apiVersion" ($config.apiVersion | default "secretbridge.dev/v1") -}}
{{- $_ := set $config "instance" ($config.instance | default .Release.Name) -}}
{{- /* The program's own default, written out so that the roles contain the right to this ConfigMap. */ -}}
{{- if and (ne $store.kind "sqlite") ($config.keys | default dict).checkpoint (not (hasKey $audit "checkpoints")) -}}
{{- $name := printf "secretbridge-%s-checkpoints" $config.instance -}}
{{- $_ := set $audit "checkpoints" (list (dict "kind" "configMap" "name" $name)) -}}
{{- end -}}
{{- $http := mergeOverwrite (dict "listen" "0.0.0.0:8080") ($config.http | default dict) -}}
{{- $metricsPort := ternary 9091 9090 (hasSuffix ":9090" $http.listen) -}}
{{- $http = merge $http (dict "metrics" (dict "listen" (printf "0.0.0.0:%d" $metricsPort))) -}}
{{- $_ := set $config "http" $http -}}
{{- $_ := set $config "cluster" ($config.cluster | default (dict "kind" "kubernetes")) -}}
{{- if .Values.redis.bundled.enabled -}}
{{- $engine := mergeOverwrite (dict "kind" "redis" "url" (dict "env" "REDIS_URL")) ($config.engine | default dict) -}}
{{- $_ := set $config "engine" $engine -}}
{{- end -}}
{{- with .Values.identity.vaultAudience -}}
{{- range $config.stores -}}
{{- if and (eq .kind "vault") (eq .auth.method "kubernetes") (not .auth.tokenFile) -}}
{{- $_ := set .auth "tokenFile" (printf "%s/token" (include "secretbridge.vaultTokenFolder" $)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $bounds := $config.include | default list -}}
{{- range .Values.tenants -}}
{{- $path := printf "/etc/secretbridge-tenants/%s.yaml" .name -}}
{{- $bound := dict "path" $path "namespaces" .namespaces "stores" .stores "keys" .keys -}}
{{- with .types }}{{ $_ := set $bound "types" . }}{{ end -}}
{{- with .limits }}{{ $_ := set $bound "limits" . }}{{ end -}}
{{- $bounds = append $bounds $bound -}}
{{- end -}}
{{- if $bounds }}{{ $_ := set $config "include" $bounds }}{{ end -}}
{{- include "secretbridge.check" (list . $config) -}}
{{- toJson $config -}}
{{- end -}}

{{- /* Rejects values that would fail in the running pods. */ -}}
{{- define "secretbridge.check" -}}
{{- $root := index . 0 -}}
{{- $config := index . 1 -}}
{{- $redis := eq ($config.engine | default dict).kind "redis" -}}
{{- $sqlite := eq $config.audit.store.kind "sqlite" -}}
{{- if and (gt (int $root.Values.replicas) 1) (or $sqlite (not $redis)) -}}
{{- fail "replicas: more than one needs config.engine.kind: redis and config.audit.store.kind: postgres" -}}
{{- end -}}
{{- if and (or $redis (not $sqlite)) (not ($config.keys | default dict).fingerprint) -}}
{{- fail "config.keys.fingerprint is required with Redis or PostgreSQL, such as [ { secretRef: { name: bridge-keys, key: fingerprint } } ]" -}}
{{- end -}}
{{- if and $root.Values.redis.bundled.enabled (not $root.Values.redis.bundled.passwordSecret.name) -}}
{{- fail "redis.bundled.passwordSecret.name is required: a Secret with the password of the bundled Redis" -}}
{{- end -}}
{{- if and $root.Values.redis.bundled.enabled (not $redis) -}}
{{- fail "redis.bundled.enabled contradicts config.engine.kind" -}}
{{- end -}}
{{- $files := list -}}
{{- range $config.audit.checkpoints }}{{ if eq .kind "file" }}{{ $files = append $files .path }}{{ end }}{{ end -}}
{{- with $config.audit.archive }}{{ $files = append $files .path }}{{ end -}}
{{- with $config.keys -}}
{{- range .fingerprint }}{{ $files = append $files .file }}{{ end -}}
{{- with .checkpoint }}{{ $files = append $files .file }}{{ end -}}
{{- end -}}
{{- range compact $files -}}
{{- if not (hasPrefix "/" .) -}}
{{- fail (printf "config: %s is relative to the mounted configuration, which is read-only. Use an absolute path, such as one below /var/lib/secretbridge/" .) -}}
{{- end -}}
{{- end -}}
{{- $loopback := "^(127\\.|localhost|\\[::1\\])" -}}
{{- if regexMatch $loopback $config.http.listen -}}
{{- fail "config.http.listen: the kubelet and the Service connect from outside of the pod. Use an address such as 0.0.0.0:8080" -}}
{{- end -}}
{{- if regexMatch $loopback $config.http.metrics.listen -}}
{{- fail "config.http.metrics.listen: Prometheus connects from outside of the pod. Use an address such as 0.0.0.0:9090" -}}
{{- end -}}
{{- if and (or $config.http.tokens $config.http.kubernetes $config.http.oidc) (not $config.http.tls) (not $config.http.allowHttp) -}}
{{- fail "config.http: tokens would be sent in clear text. Set config.http.tls to the files of a certificate, or config.http.allowHttp: true if an ingress or a service mesh encrypts the traffic" -}}
{{- end -}}
{{- if ne $config.cluster.kind "kubernetes" -}}
{{- fail "config.cluster.kind must be kubernetes in a pod of this chart" -}}
{{- end -}}
{{- end -}}

{{- /* The number of ConfigMaps for the mappings. Each holds at most 1 MiB and is filled to a third. */ -}}
{{- define "secretbridge.chunks" -}}
{{- add 1 (div (len (toJson .mappings)) 350000) -}}
{{- end -}}

{{- define "secretbridge.port" -}}
{{- regexFind "[0-9]+$" .http.listen -}}
{{- end -}}

{{- define "secretbridge.metricsPort" -}}
{{- regexFind "[0-9]+$" .http.metrics.listen -}}
{{- end -}}
