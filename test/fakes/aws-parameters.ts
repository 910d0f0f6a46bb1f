import { AwsError } from './aws-operations.ts';

/** A version of a parameter, as in the documentation of Parameter Store. */
interface StoredVersion {
  readonly number: number;
  readonly value: string;
  readonly labels: Set<string>;
  /** Seconds since 1970. */
  readonly changedAt: number;
}

interface StoredParameter {
  readonly name: string;
  readonly arn: string;
  readonly type: 'String' | 'StringList' | 'SecureString';
  readonly versions: StoredVersion[];
  readonly tags: Readonly<Record<string, string>>;
}

/** Parameters in memory. A parameter that is created again after its deletion starts at version 1. */
export class ParameterStore {
  readonly #parameters = new Map<string, StoredParameter>();
  readonly #prefix: string;

  constructor(region: string, account: string) {
    this.#prefix = `arn:aws:ssm:${region}:${account}:parameter/`;
  }

  /** Adds a version, and creates the parameter if needed. Returns the number of the version. */
  put(
    name: string,
    value: string,
    more: Partial<Pick<StoredParameter, 'type' | 'tags'>> & { readonly label?: string } = {},
  ): number {
    const { type = 'SecureString', tags = {}, label } = more;
    const arn = this.#prefix + name.replace(/^\//, '');
    const parameter = this.get(name) ?? { name, arn, type, versions: [], tags };
    this.#parameters.set(withoutSlash(name), parameter);
    const number = (parameter.versions.at(-1)?.number ?? 0) + 1;
    for (const { labels } of parameter.versions) if (label !== undefined) labels.delete(label);
    const labels = new Set(label === undefined ? [] : [label]);
    parameter.versions.push({ number, value, labels, changedAt: Date.now() / 1000 });
    return number;
  }

  remove(name: string): void {
    this.#parameters.delete(withoutSlash(name));
  }

  /** Finds a parameter by its name or its ARN. Like AWS, ignores the slash before a name without levels. */
  get(id: string): StoredParameter | undefined {
    return this.#parameters.get(withoutSlash(id)) ?? this.all().find(({ arn }) => arn === id);
  }

  all(): readonly StoredParameter[] {
    return [...this.#parameters.values()];
  }
}

function withoutSlash(name: string): string {
  return /^\/[^/]*$/.test(name) ? name.slice(1) : name;
}

export interface ParameterContext {
  readonly parameters: ParameterStore;
  /** Throws the error that the test has set for this parameter, if any. */
  checkKey(operation: string, parameter: { readonly name: string }): void;
}

type Input = Readonly<Record<string, unknown>>;

/** The operations that the fake supports. https://docs.aws.amazon.com/systems-manager/latest/APIReference/ */
export const PARAMETER_OPERATIONS: Readonly<
  Record<string, (context: ParameterContext, input: Input) => object>
> = {
  GetParameter(context, { Name: id }) {
    const { name, selector } = parse(id);
    const parameter = context.parameters.get(name);
    // A policy denies a name, whether the parameter exists or not.
    context.checkKey('GetParameter', parameter ?? { name });
    if (parameter === undefined) throw new AwsError('ParameterNotFound');
    const version = versionOf(parameter, selector);
    if (version === undefined) throw new AwsError('ParameterVersionNotFound');
    return { Parameter: describe(nameAs(parameter, name), version, selector) };
  },
  GetParameters(context, { Names: names }) {
    if (!Array.isArray(names) || names.length === 0 || names.length > 10)
      throw new AwsError('ValidationException');
    if (new Set(names).size !== names.length) throw new AwsError('ValidationException');
    const found: object[] = [];
    const invalid: unknown[] = [];
    for (const id of names) {
      const { name, selector } = parse(id);
      const parameter = context.parameters.get(name);
      context.checkKey('GetParameters', parameter ?? { name });
      const version = parameter && versionOf(parameter, selector);
      if (parameter === undefined || version === undefined) invalid.push(id);
      else found.push(describe(nameAs(parameter, name), version, selector));
    }
    // The order of the answer is not the order of the request.
    return { Parameters: found.toReversed(), InvalidParameters: invalid };
  },
  GetParametersByPath(context, { Path: path, MaxResults: size = 10, NextToken: token }) {
    if (typeof path !== 'string' || !path.startsWith('/') || Number(size) > 10)
      throw new AwsError('ValidationException');
    const below = path === '/' ? '' : `${path}/`;
    const matching = context.parameters.all().filter(({ name }) => name.startsWith(below));
    return page(matching, Number(size), token);
  },
  DescribeParameters(context, { ParameterFilters: filters = [], MaxResults: size = 10, NextToken: token }) {
    if (!Array.isArray(filters) || Number(size) > 50) throw new AwsError('ValidationException');
    const matching = context.parameters.all().filter((parameter) =>
      filters.every(({ Key: key, Values: values }: { Key: string; Values: readonly string[] }) => {
        if (key === 'Path') return values.some((path) => parameter.name.startsWith(`${path}/`));
        return values.includes(parameter.tags[key.replace(/^tag:/, '')] ?? '');
      }),
    );
    return page(matching, Number(size), token);
  },
};

/** Like AWS, returns a parameter with the name of the request, unless the request has its ARN. */
function nameAs(parameter: StoredParameter, requested: string): StoredParameter {
  return requested.startsWith('arn:') ? parameter : { ...parameter, name: requested };
}

/** Divides `name:3`, `name:label` and the same with an ARN. */
function parse(id: unknown): { readonly name: string; readonly selector: string | undefined } {
  if (typeof id !== 'string') throw new AwsError('ValidationException');
  const isMalformed = !id.startsWith('arn:') && (/\/\//.test(id) || /^[^/].*\//.test(id));
  if (isMalformed) throw new AwsError('ValidationException');
  const [, name = id, selector] = /^(.+):([\w.-]+)$/.exec(id) ?? [];
  return { name, selector };
}

function versionOf({ versions }: StoredParameter, selector: string | undefined): StoredVersion | undefined {
  if (selector === undefined) return versions.at(-1);
  return versions.find(({ number, labels }) => String(number) === selector || labels.has(selector));
}

function describe(
  { name, arn, type }: StoredParameter,
  { number, value, changedAt }: StoredVersion,
  selector: string | undefined,
): object {
  return {
    Name: name,
    ARN: arn,
    Type: type,
    Value: value,
    Version: number,
    LastModifiedDate: changedAt,
    DataType: 'text',
    ...(selector === undefined ? {} : { Selector: `:${selector}` }),
  };
}

/** Returns a page without values, as without decryption. Like AWS, may return an empty page that is not the last. */
function page(all: readonly StoredParameter[], size: number, token: unknown): object {
  const from = token === undefined ? 0 : Number(/^page-(\d+)$/.exec(String(token))?.[1]);
  if (Number.isNaN(from)) throw new AwsError('InvalidNextToken');
  return {
    Parameters: all.slice(from, from + size).map(({ name, arn, versions }) => ({
      Name: name,
      ARN: arn,
      Type: 'SecureString',
      Version: versions.at(-1)?.number,
    })),
    ...(from + size < all.length ? { NextToken: `page-${from + size}` } : {}),
  };
}
