import { isObject } from '../../core/json.ts';
import { isText, type Json } from '../node.ts';
import type { Workload } from '../workloads.ts';

/** The settings of the controller, from the environment variables of its workload. */
export interface ControllerSettings {
  /** Returns the value of a variable. */
  value(name: string): string | undefined;
  /** Returns the Secret that a variable is read from. */
  secret(name: string): Json | undefined;
  /** The namespace of the controller. */
  readonly namespace: string | undefined;
}

const CONTROLLER = /kubernetes-external-secrets/;

/** Finds the controller in the input by its name or image. */
export function controllerSettings(workloads: readonly Workload[]): ControllerSettings {
  const controller = workloads.find(
    ({ name, pods }) =>
      CONTROLLER.test(name) ||
      containersOf(pods).some(({ image }) => isText(image) && CONTROLLER.test(image)),
  );
  const variables = containersOf(controller?.pods ?? {}).flatMap(({ env }) =>
    Array.isArray(env) ? env.filter(isObject) : [],
  );
  const find = (name: string) => variables.find((variable) => variable.name === name);
  return {
    namespace: controller?.namespace,
    value(name) {
      const value = find(name)?.value;
      return isText(value) && value !== '' ? value : undefined;
    },
    secret(name) {
      const from = find(name)?.valueFrom;
      return isObject(from) && isObject(from.secretKeyRef) ? from.secretKeyRef : undefined;
    },
  };
}

function containersOf({ containers }: Json): readonly Json[] {
  return Array.isArray(containers) ? containers.filter(isObject) : [];
}
