import { WithCode } from '../format.tsx';
import { Empty } from '../parts/notice.tsx';
import { link } from '../router.ts';
import { defineView } from '../view.ts';

/** What `secretbridge explain-error` prints about an error code. */
export const codeView = defineView<readonly string[] | undefined>({
  title: ({ path }) => path[1] ?? '',
  refresh: 'never',
  async load({ path: [, code = ''] }) {
    // Loaded on demand, because few people read these texts.
    const { default: texts } = await import('../error-texts.json');
    return new Map<string, readonly string[]>(Object.entries(texts)).get(code);
  },
  Show: ({ data: texts, route: { path } }) => (
    <>
      {texts === undefined ? (
        <Empty text="secretbridge has no error with this code. Another server, such as a proxy, may have sent it." />
      ) : (
        <section class="card prose" aria-label="Explanation">
          {texts.map((text) => (
            <p key={text}>
              <WithCode text={text} />
            </p>
          ))}
        </section>
      )}
      <p>
        <a href={link(['changes'], { code: path[1] })}>Changes with this code</a>
      </p>
    </>
  ),
});
