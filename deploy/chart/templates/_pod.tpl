{{- /* (root, component) -> the labels of a pod of the release. */ -}}
{{- define "secretbridge.podLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- /* Labels of the pods that log in to stores: the bridge, and `doctor`. */ -}}
{{- define "secretbridge.identityLabels" -}}
{{- with .Values.podLabels }}
{{- toYaml . }}
{{ end -}}
{{- if .Values.identity.azureClientId -}}
azure.workload.identity/use: 'true'
{{- end -}}
{{- end -}}

{{- /* The pod fields that Pod Security `restricted` requires. */ -}}
{{- define "secretbridge.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- /* The container fields that it requires, and a read-only root file system. */ -}}
{{- define "secretbridge.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: { drop: [ALL] }
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- /*
The other pods may run on the same nodes as the bridge. Its pod affinity is not copied: with a single node, an anti-affinity
would leave no node for them.
*/ -}}
{{- define "secretbridge.nodes" -}}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with (default dict .Values.affinity).nodeAffinity }}
affinity:
  nodeAffinity:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Common fields of the pods of checks and tests. */ -}}
{{- define "secretbridge.placement" -}}
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "secretbridge.podSecurity" . | nindent 2 }}
{{- include "secretbridge.nodes" . }}
{{- end -}}

{{- define "secretbridge.env" -}}
{{- if .Values.redis.bundled.enabled }}
- name: REDIS_PASSWORD
  valueFrom:
    secretKeyRef:
      {{- toYaml .Values.redis.bundled.passwordSecret | nindent 6 }}
- name: REDIS_URL
  value: redis://:$(REDIS_PASSWORD)@{{ include "secretbridge.fullname" . }}-redis:6379/0
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Fields `env` and `envFrom` of the bridge and of `doctor`. */ -}}
{{- define "secretbridge.environment" -}}
{{- with include "secretbridge.env" . | trim -}}
env:
  {{- . | nindent 2 }}
{{- end }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* The mounts of the bridge and of `doctor`, without the state. */ -}}
{{- define "secretbridge.mounts" -}}
{{- include "secretbridge.configMounts" . }}
- { name: tmp, mountPath: /tmp }
{{- if .Values.identity.vaultAudience }}
- { name: vault-token, mountPath: {{ include "secretbridge.vaultTokenFolder" . }}, readOnly: true }
{{- end }}
{{- with .Values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* (root, config, name) -> their volumes. */ -}}
{{- define "secretbridge.volumes" -}}
{{- include "secretbridge.configVolumes" . }}
- name: tmp
  emptyDir: { sizeLimit: 64Mi }
{{- with .root.Values.identity.vaultAudience }}
- name: vault-token
  projected:
    sources:
      # The kubelet renews it, and each login reads the file again.
      - serviceAccountToken: { path: token, audience: {{ . | quote }}, expirationSeconds: 3600 }
{{- end }}
{{- with .root.Values.volumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "secretbridge.vaultTokenFolder" -}}
/var/run/secrets/secretbridge-vault
{{- end -}}

{{- /*
(root, config, name, strict) -> the spec of a pod that runs `secretbridge doctor` with the identity of the bridge. Its state is
temporary, because the running bridge uses the volume with the audit, perhaps on another node.
*/ -}}
{{- define "secretbridge.doctor" -}}
restartPolicy: Never
serviceAccountName: {{ include "secretbridge.serviceAccount" .root | quote }}
automountServiceAccountToken: true
{{ include "secretbridge.placement" .root }}
containers:
  - name: doctor
    image: {{ include "secretbridge.image" .root }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    {{- if .strict }}
    args: [doctor, --config, /etc/secretbridge/]
    {{- else }}
    command: [/usr/local/bin/node, --disable-sigusr1, -e]
    args:
      - |
        const { spawnSync } = require('node:child_process');
        const { status } = spawnSync(process.execPath, ['--disable-sigusr1', ...process.argv.slice(1)], { stdio: 'inherit' });
        if (status !== 0) console.log(`doctor ended with ${status}; check.doctor is warn, so this goes on`);
      - /app/bin/secretbridge.js
      - doctor
      - --config
      - /etc/secretbridge/
    {{- end }}
    {{- with include "secretbridge.environment" .root | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    resources:
      {{- toYaml .root.Values.resources | nindent 6 }}
    securityContext:
      {{- include "secretbridge.containerSecurity" .root | nindent 6 }}
    volumeMounts:
      {{- include "secretbridge.mounts" .root | nindent 6 }}
      - { name: scratch, mountPath: /var/lib/secretbridge }
volumes:
  {{- include "secretbridge.volumes" . | nindent 2 }}
  - name: scratch
    emptyDir: { sizeLimit: 64Mi }
{{- end -}}
