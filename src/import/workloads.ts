import { isObject } from '../core/json.ts';
import { isText, type Json } from './node.ts';

// Pods in the input. Some tools have their settings there.

/** A workload, or a pod without a workload. */
export interface Workload {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** The spec of the pods. */
  readonly pods: Json;
}

/** The kinds whose pods may mount files, or belong to a tool. */
const WORKLOADS = /^(?:Deployment|StatefulSet|DaemonSet|ReplicaSet|Job|CronJob|Rollout|Pod)$/;

/** Returns the spec of the pods of a workload. A pod or ReplicaSet of a workload is left out. */
export function podsOf({ kind, metadata, spec }: Json): Json | undefined {
  if (!isText(kind) || !WORKLOADS.test(kind) || !isObject(spec)) return undefined;
  if (isObject(metadata) && Array.isArray(metadata.ownerReferences) && metadata.ownerReferences.length > 0)
    return undefined;
  const jobTemplate = isObject(spec.jobTemplate) ? spec.jobTemplate : undefined;
  const template = jobTemplate === undefined ? spec.template : member(jobTemplate.spec, 'template');
  const pods = kind === 'Pod' ? spec : member(template, 'spec');
  return isObject(pods) ? pods : undefined;
}

function member(value: unknown, name: string): unknown {
  return isObject(value) ? value[name] : undefined;
}
