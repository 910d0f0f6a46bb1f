import { BUSYBOX_IMAGE } from '../services/node/busybox-image.ts';

/**
 * Returns a Deployment of two pods that has the key KEY of a Secret as environment variable and as file, and serves
 * HTTP on port 8000.
 */
export function applicationWith(name: string, secret: string): object {
  const labels = { app: name };
  const container = {
    name: 'app',
    image: BUSYBOX_IMAGE,
    imagePullPolicy: 'Never',
    command: ['sh', '-c', 'echo hello > /tmp/index.html; echo started; exec httpd -f -p 8000 -h /tmp'],
    env: [{ name: 'KEY', valueFrom: { secretKeyRef: { name: secret, key: 'KEY' } } }],
    resources: { limits: { memory: '32Mi' } },
    volumeMounts: [
      { name: 'secret', mountPath: '/etc/app' },
      { name: 'tmp', mountPath: '/tmp' },
    ],
  };
  const spec = {
    terminationGracePeriodSeconds: 1,
    containers: [container],
    volumes: [
      { name: 'secret', secret: { secretName: secret } },
      { name: 'tmp', emptyDir: {} },
    ],
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  };
}
