/** One call of a port, before it is made or after it has succeeded. */
export interface Step {
  /** `<port>.<method>`. */
  readonly call: string;
  readonly phase: 'before' | 'after';
  readonly args: readonly unknown[];
}

/** Sees every step: throws to make the call fail, or waits to delay it. */
export type Watch = (step: Step) => void | Promise<void>;

/**
 * Any port, with somebody at its door. A `before` that throws keeps the call from being made; an `after` that throws
 * loses its answer. Only methods that give a promise are watched; results pass as they are.
 */
export function faulty<Port extends object>(name: string, port: Port, watch: Watch): Port {
  return new Proxy(port, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function' || property === Symbol.asyncDispose) return value;
      const call = `${name}.${String(property)}`;
      return (...args: readonly unknown[]) => {
        if (SYNCHRONOUS.includes(property)) return Reflect.apply(value, target, args);
        return (async () => {
          await watch({ call, phase: 'before', args });
          const result: unknown = await Reflect.apply(value, target, args);
          await watch({ call, phase: 'after', args });
          return result;
        })();
      };
    },
  });
}

/** The methods of our ports that give something other than a promise. */
const SYNCHRONOUS: readonly (string | symbol)[] = ['storedRecords', 'ownNamespace', 'mergedKeys', 'exclusivelyOwned'];

/** Thrown where a process would have died. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

export interface CrashPlan {
  readonly watch: Watch;
  /** Every step so far, as `<phase> <call>`. */
  readonly steps: readonly string[];
}

/** Dies at the step of this number, from 1: neither it nor any later step has an effect. 0: never. */
export function crashAt(number: number): CrashPlan {
  const steps: string[] = [];
  return {
    steps,
    watch({ call, phase }) {
      if (number > 0 && steps.length >= number) throw new Crash();
      steps.push(`${phase} ${call}`);
      if (steps.length === number) throw new Crash();
    },
  };
}

/** Fails the calls that match, before or after they are made; each time, or only the first times. */
export function failing(
  call: string | RegExp,
  error: unknown,
  { phase = 'before', times = Number.POSITIVE_INFINITY }: { phase?: Step['phase']; times?: number } = {},
): Watch {
  let left = times;
  return (step) => {
    const matches = typeof call === 'string' ? step.call === call : call.test(step.call);
    if (!matches || step.phase !== phase || left === 0) return;
    left -= 1;
    throw error;
  };
}

export interface Gate {
  readonly watch: Watch;
  /** Resolves when a call that matches waits at the gate. */
  readonly arrived: Promise<void>;
  /** Lets it and all that come later pass. */
  open(): void;
}

/** Holds the calls that match until it is opened; never opened, they hang. */
export function gate(call: string, phase: Step['phase'] = 'before'): Gate {
  const arrival = Promise.withResolvers<void>();
  const opening = Promise.withResolvers<void>();
  return {
    watch: async (step) => {
      if (step.call !== call || step.phase !== phase) return;
      arrival.resolve();
      await opening.promise;
    },
    arrived: arrival.promise,
    open: opening.resolve,
  };
}
