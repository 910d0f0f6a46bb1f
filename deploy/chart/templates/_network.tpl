{{- /*
config -> the network destinations of the configuration, as a JSON list of { host, port, what }: stores, their login services (AWS
STS, Microsoft Entra), the metadata services of nodes, event queues, the OIDC provider, and the receiver of traces.
*/ -}}
{{- define "secretbridge.destinations" -}}
{{- $found := list -}}
{{- range .stores -}}
{{- $what := printf "store %s" .name -}}
{{- $method := (.auth | default (dict "method" "default")).method -}}
{{- if eq .kind "vault" -}}
{{- $found = append $found (include "secretbridge.destination" (list .address $what) | fromJson) -}}
{{- else if eq .kind "azure-key-vault" -}}
{{- $found = append $found (include "secretbridge.destination" (list .vaultUrl $what) | fromJson) -}}
{{- if ne $method "managedIdentity" -}}
{{- $found = append $found (include "secretbridge.entra" (list .vaultUrl $what "login.chinacloudapi.cn") | fromJson) -}}
{{- end -}}
{{- if has $method (list "managedIdentity" "default") -}}
{{- $found = append $found (dict "host" "169.254.169.254" "port" 80 "what" $what) -}}
{{- end -}}
{{- else if has .kind (list "aws-secrets-manager" "aws-parameter-store") -}}
{{- $domain := ternary "amazonaws.com.cn" "amazonaws.com" (hasPrefix "cn-" .region) -}}
{{- $host := ternary "ssm" "secretsmanager" (eq .kind "aws-parameter-store") -}}
{{- $service := printf "https://%s%s.%s.%s" $host (ternary "-fips" "" (.fips | default false)) .region $domain -}}
{{- $found = append $found (include "secretbridge.destination" (list (.endpoint | default $service) $what) | fromJson) -}}
{{- if or (ne $method "static") .auth.assumeRole -}}
{{- $found = append $found (dict "host" (printf "sts%s.%s.%s" (ternary "-fips" "" (.fips | default false)) .region $domain) "port" 443 "what" $what) -}}
{{- end -}}
{{- if eq $method "default" -}}
{{- $found = concat $found (list (dict "host" "169.254.169.254" "port" 80 "what" $what) (dict "host" "169.254.170.23" "port" 80 "what" $what)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range ((.engine | default dict).sentinel | default dict).addresses -}}
{{- $found = append $found (include "secretbridge.destination" (list (printf "redis://%s" .) "Redis Sentinel") | fromJson) -}}
{{- end -}}
{{- $events := .events | default dict -}}
{{- range $events.sqs -}}
{{- $found = append $found (include "secretbridge.destination" (list .queueUrl (printf "events %s" .name)) | fromJson) -}}
{{- end -}}
{{- $vaults := dict -}}
{{- range .stores }}{{ $_ := set $vaults .name (.vaultUrl | default "") }}{{ end -}}
{{- range $events.eventGrid -}}
{{- if .entra -}}
{{- $in := list (get $vaults .store) (printf "events %s" .name) "login.partner.microsoftonline.cn" -}}
{{- $found = append $found (include "secretbridge.entra" $in | fromJson) -}}
{{- end -}}
{{- end -}}
{{- with ((.http | default dict).oidc | default dict).issuer -}}
{{- $found = append $found (include "secretbridge.destination" (list . "OIDC provider") | fromJson) -}}
{{- end -}}
{{- with ((.tracing | default dict).otlp | default dict).endpoint -}}
{{- $found = append $found (include "secretbridge.destination" (list . "traces") | fromJson) -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{- /* (address of a vault, what, host in China) -> the destination of Microsoft Entra for its cloud. */ -}}
{{- define "secretbridge.entra" -}}
{{- $vault := (urlParse (index . 0)).hostname -}}
{{- $host := "login.microsoftonline.com" -}}
{{- if hasSuffix ".vault.usgovcloudapi.net" $vault }}{{ $host = "login.microsoftonline.us" }}{{ end -}}
{{- if hasSuffix ".vault.azure.cn" $vault }}{{ $host = index . 2 }}{{ end -}}
{{- dict "host" $host "port" 443 "what" (index . 1) | toJson -}}
{{- end -}}

{{- /* (address, what) -> one destination. */ -}}
{{- define "secretbridge.destination" -}}
{{- $url := urlParse (index . 0) -}}
{{- $usual := dict "https" 443 "http" 80 "redis" 26379 -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) -}}
{{- dict "host" $url.hostname "port" (int ($port | default (get $usual $url.scheme))) "what" (index . 1) | toJson -}}
{{- end -}}

{{- /*
(root, config) -> { rules, open } as JSON: the egress rules for the configuration, and the destinations that are open to every
address because a policy does not know host names.
*/ -}}
{{- define "secretbridge.egress" -}}
{{- $policy := .root.Values.networkPolicy -}}
{{- $rules := list -}}
{{- $open := list -}}
{{- $seen := dict -}}
{{- range include "secretbridge.destinations" .config | fromJsonArray -}}
{{- $port := int .port -}}
{{- $id := printf "%s %d" .host $port -}}
{{- if not (or (hasKey $seen $id) (regexMatch "^(127\\.|localhost$|::1$)" .host)) -}}
{{- $_ := set $seen $id true -}}
{{- $ports := list (dict "port" $port "protocol" "TCP") -}}
{{- $service := regexFind "^[^.]+\\.[^.]+\\.svc(\\.|$)" .host -}}
{{- $blocks := list -}}
{{- if hasKey $policy.hosts .host -}}
{{- $blocks = get $policy.hosts .host -}}
{{- else if regexMatch "^[0-9]+(\\.[0-9]+){3}$" .host -}}
{{- $blocks = list (printf "%s/32" .host) -}}
{{- else if contains ":" .host -}}
{{- $blocks = list (printf "%s/128" .host) -}}
{{- end -}}
{{- if $blocks -}}
{{- $to := list -}}
{{- range $blocks }}{{ $to = append $to (dict "ipBlock" (dict "cidr" .)) }}{{ end -}}
{{- $rules = append $rules (dict "to" $to "ports" $ports) -}}
{{- else if $service -}}
{{- /* A policy applies to ports of pods, which may differ from the ports of the Service. */ -}}
{{- $namespace := dict "kubernetes.io/metadata.name" (index (splitList "." .host) 1) -}}
{{- $rules = append $rules (dict "to" (list (dict "namespaceSelector" (dict "matchLabels" $namespace)))) -}}
{{- else -}}
{{- $open = append $open . -}}
{{- $rules = append $rules (dict "ports" $ports) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- /* The addresses of Redis and PostgreSQL are credentials, so they are not in the configuration. */ -}}
{{- $ours := .root.Values.redis.bundled.enabled -}}
{{- if and (eq (.config.engine | default dict).kind "redis") (not $ours) -}}
{{- $rules = append $rules (include "secretbridge.served" $policy.redis | fromJson) -}}
{{- if not $policy.redis.cidrs }}{{ $open = append $open (dict "host" "networkPolicy.redis.cidrs" "port" $policy.redis.port "what" "Redis") }}{{ end -}}
{{- end -}}
{{- if eq .config.audit.store.kind "postgres" -}}
{{- $rules = append $rules (include "secretbridge.served" $policy.postgres | fromJson) -}}
{{- if not $policy.postgres.cidrs }}{{ $open = append $open (dict "host" "networkPolicy.postgres.cidrs" "port" $policy.postgres.port "what" "PostgreSQL") }}{{ end -}}
{{- end -}}
{{- /* The API server of many managed clusters has the port 443. */ -}}
{{- $apiServer := include "secretbridge.served" $policy.apiServer | fromJson -}}
{{- $managed := include "secretbridge.served" (merge (dict "port" 443) $policy.apiServer) | fromJson -}}
{{- $rules = append $rules (merge (dict "ports" (concat $apiServer.ports $managed.ports | uniq)) $apiServer) -}}
{{- dict "rules" (uniq $rules) "open" $open | toJson -}}
{{- end -}}

{{- /* { cidrs, port } -> a rule. Without cidrs, it allows the port at every address. */ -}}
{{- define "secretbridge.served" -}}
{{- $rule := dict "ports" (list (dict "port" (int .port) "protocol" "TCP")) -}}
{{- if .cidrs -}}
{{- $to := list -}}
{{- range .cidrs }}{{ $to = append $to (dict "ipBlock" (dict "cidr" .)) }}{{ end -}}
{{- $_ := set $rule "to" $to -}}
{{- end -}}
{{- toJson $rule -}}
{{- end -}}

{{- /*
The peers that may call the API, as a JSON list. An empty list allows all: a load balancer or a node port has callers outside of
the cluster. The chart does not know the namespace of an ingress controller.
*/ -}}
{{- define "secretbridge.callers" -}}
{{- with .Values.networkPolicy.ingressFrom -}}
{{- toJson . -}}
{{- else -}}
{{- if ne .Values.service.type "ClusterIP" -}}
[]
{{- else -}}
{{- list (ternary (dict "namespaceSelector" dict) (dict "podSelector" dict) .Values.ingress.enabled) | toJson -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The peers that may read the metrics, as a JSON list. The chart does not know the namespace of Prometheus. */ -}}
{{- define "secretbridge.scrapers" -}}
{{- $monitored := .Values.metrics.serviceMonitor.enabled -}}
{{- $usual := list (ternary (dict "namespaceSelector" dict) (dict "podSelector" dict) $monitored) -}}
{{- .Values.networkPolicy.metricsFrom | default $usual | toJson -}}
{{- end -}}
