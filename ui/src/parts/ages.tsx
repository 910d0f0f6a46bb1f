import type { VNode } from 'preact';
import { duration, number, pluralize } from '../format.tsx';
import { usePage } from '../page.ts';
import { link } from '../router.ts';
import type { Picture } from '../types.ts';
import { Empty } from './notice.tsx';

const TITLES: Readonly<Record<string, string>> = {
  '1d': 'up to a day',
  '7d': 'a week',
  '30d': 'a month',
  '90d': '3 months',
  '365d': 'a year',
  older: 'older',
};

/** The youngest age of each group. */
const OLDER_THAN: Readonly<Record<string, string>> = {
  '7d': '1d',
  '30d': '7d',
  '90d': '30d',
  '365d': '90d',
  older: '365d',
};

/** How long ago the values of the Secrets of each store changed. The darker the cell, the more Secrets. */
export function Ages({ ages }: Pick<Picture, 'ages'>): VNode {
  const buckets = [...new Set(ages.flatMap((one) => one.buckets.map(({ upTo }) => upTo)))];
  const most = Math.max(1, ...ages.flatMap((one) => one.buckets.map(({ secrets }) => secrets)));
  if (ages.length === 0)
    return <Empty text="No ages yet. They appear when the Secrets of a store have been written." />;
  return (
    <div class="scroll">
      <table class="heat">
        <caption class="visually-hidden">Secrets by store, and by the time since their last change</caption>
        <thead>
          <tr>
            <th scope="col">Store</th>
            {buckets.map((upTo) => (
              <th key={upTo} scope="col">
                {TITLES[upTo] ?? upTo}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {ages.map(({ store, buckets: own }) => (
            <tr key={store}>
              <th scope="row">
                <a href={link(['graph'], { store })}>{store}</a>
              </th>
              {buckets.map((upTo) => (
                <HeatCell
                  key={upTo}
                  count={own.find((one) => one.upTo === upTo)?.secrets ?? 0}
                  most={most}
                  address={link(['sources'], {
                    store,
                    olderThan: OLDER_THAN[upTo],
                    newerThan: upTo === 'older' ? undefined : upTo,
                  })}
                />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The number of shades in `pictures.css`. */
const SHADES = 4;

interface CellProps {
  readonly count: number;
  /** The count of the darkest cell. */
  readonly most: number;
  readonly address: string;
}

function HeatCell({ count, most, address }: CellProps): VNode {
  // The roots of the counts differ less than the counts, so small counts stay visible.
  const shade = count === 0 ? 0 : Math.max(1, Math.round(SHADES * Math.sqrt(count / most)));
  return <td class={`shade-${shade}`}>{count === 0 ? '0' : <a href={address}>{number(count)}</a>}</td>;
}

export function Staleness({ stale }: Pick<Picture, 'stale'>): VNode | null {
  if (stale.count === 0) return null;
  return (
    <p>
      <a href={link(['mappings'], { state: 'stale' })}>{pluralize(stale.count, 'stale target')}</a>
      {stale.oldest !== undefined && `, the oldest for ${duration(stale.oldest)}`}
    </p>
  );
}

/** Above this multiple of what is expected, a number of calls is worth a look. */
const MANY = 1.5;

/** The requests to each store, against what is expected while nothing changes. */
export function Calls({ calls }: Pick<Picture, 'calls'>): VNode {
  const { namespaces } = usePage().session;
  const most = Math.max(1, ...calls.flatMap(({ made, expected }) => [made, expected]));
  if (calls.length === 0)
    return (
      <Empty
        text={
          namespaces === undefined
            ? 'No requests were counted yet. Each store appears here after its first requests.'
            : 'People who are limited to namespaces do not see the requests to stores.'
        }
      />
    );
  return (
    <table class="calls">
      <caption class="visually-hidden">Requests to each store within the last hour</caption>
      <thead>
        <tr>
          <th scope="col">Store</th>
          <th scope="col">Requests in the last hour</th>
          <th scope="col">Expected</th>
        </tr>
      </thead>
      <tbody>
        {calls.map(({ store, made, expected }) => (
          <tr key={store}>
            <th scope="row">{store}</th>
            <td>
              <span
                class={`bar${expected > 0 && made > expected * MANY ? ' many' : ''}`}
                style={{ width: `${(made / most) * 60}%` }}
                aria-hidden="true"
              />
              {number(made)}
            </td>
            <td>{expected === 0 ? <span class="muted">unknown</span> : number(expected)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
