import { isObject } from '../../core/json.ts';
import { isText, type Json } from '../node.ts';
import type { Workload } from '../workloads.ts';

const DRIVER = 'secrets-store.csi.k8s.io';

/** A volume of a workload that mounts the files of a SecretProviderClass. */
export interface Mount {
  /** The workload, such as `Deployment shop/web`. */
  readonly workload: string;
  readonly namespace: string;
  readonly className: string;
  readonly volume: string;
  readonly account: string;
  /** The Secret with the credentials of a service principal. */
  readonly credentials: string | undefined;
}

export function mountsOf(workloads: readonly Workload[]): readonly Mount[] {
  return workloads.flatMap(({ kind, namespace, name, pods }) =>
    volumesOf(pods).flatMap((volume): readonly Mount[] => {
      const { csi } = volume;
      if (!isObject(csi) || csi.driver !== DRIVER || !isObject(csi.volumeAttributes)) return [];
      const { secretProviderClass } = csi.volumeAttributes;
      if (!isText(secretProviderClass)) return [];
      const { nodePublishSecretRef } = csi;
      const credentials = isObject(nodePublishSecretRef) ? nodePublishSecretRef.name : undefined;
      return [
        {
          workload: `${kind} ${namespace}/${name}`,
          namespace,
          className: secretProviderClass,
          volume: String(volume.name),
          account: isText(pods.serviceAccountName) ? pods.serviceAccountName : 'default',
          credentials: isText(credentials) ? credentials : undefined,
        },
      ];
    }),
  );
}

function volumesOf({ volumes }: Json): readonly Json[] {
  return Array.isArray(volumes) ? volumes.filter(isObject) : [];
}
