/** A point at which a test can intervene: before a call of a port, or after the call succeeded. */
export interface Step {
  /** The method that is called, as `<port>.<method>`. */
  readonly call: string;
  readonly phase: 'before' | 'after';
  readonly args: readonly unknown[];
}

/** Called at every step. May throw to make the call fail, or wait to delay the call. */
export type Watch = (step: Step) => void | Promise<void>;

/**
 * Wraps any port, and calls `watch` at every step. If `watch` throws before the call, the call is not made. If `watch`
 * throws after the call, the result of the call is lost. Only methods that return a promise are wrapped.
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

/** The methods of ports that do not return a promise. */
const SYNCHRONOUS: readonly (string | symbol)[] = [
  'storedRecords',
  'ownNamespace',
  'mergedKeys',
  'exclusivelyOwned',
];

/** The error that a simulated crash of the process throws. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

export interface CrashPlan {
  readonly watch: Watch;
  /** All steps so far, each as `<phase> <call>`. */
  readonly steps: readonly string[];
}

/**
 * Simulates a crash at the step with the given number. The first step has number 1. The call at this step and all later
 * calls have no effect. With number 0, no crash happens.
 */
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

/**
 * Makes matching calls fail, either before they run or after they succeed. By default, every matching call fails. With
 * `times`, only the first calls fail.
 */
export function failing(
  call: string | RegExp,
  error: unknown,
  { phase = 'before', times = Number.POSITIVE_INFINITY }: { phase?: Step['phase']; times?: number } = {},
): Watch {
  let remaining = times;
  return (step) => {
    const matches = typeof call === 'string' ? step.call === call : call.test(step.call);
    if (!matches || step.phase !== phase || remaining === 0) return;
    remaining -= 1;
    throw error;
  };
}

export interface Gate {
  readonly watch: Watch;
  /** Resolves when a matching call waits at the gate. */
  readonly arrived: Promise<void>;
  /** Lets the waiting calls and all later calls continue. */
  open(): void;
}

/** Makes matching calls wait until the test opens the gate. */
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
