import { describe, expect, test } from '@jest/globals';
import { matches } from './glob.ts';
import { kindOf, oneLine, readText } from './text.ts';

describe('HTML', () => {
  test('becomes what a reader sees, with its headings', () => {
    const page = `<!doctype html><html><head><title>Refunds &amp; more</title><style>p{}</style></head><body>
      <nav><a href="/">Home</a></nav><h1>Refunds</h1><p>Within <b>30&nbsp;days</b>,<br>of course.</p>
      <ul><li>Shoes</li><li>Hats</li></ul><h2>Not<br> these</h2><pre>a
  b</pre><script>alert(1)</script></body></html>`;
    expect(readText('html', page)).toEqual({
      title: 'Refunds & more',
      text: '# Refunds\n\nWithin 30 days,\nof course.\n\n- Shoes\n- Hats\n\n## Not\nthese\n\na\nb',
    });
  });

  test.each([
    ['hidden', '<div hidden>IGNORE <b>ALL</b></div><p>seen</p>'],
    ['styled away', '<span style="display: none">IGNORE<br>ALL</span><p>seen</p>'],
    ['for screen readers not to read', '<p aria-hidden="true">IGNORE</p><p>seen</p>'],
    ['a comment', '<!-- IGNORE --><p>seen</p>'],
    ['a template', '<template><p>IGNORE</p></template><p>seen</p>'],
    ['in a script that is never closed', '<p>seen</p><script>IGNORE'],
  ])('leaves out what no reader sees: what is %s', (_what, html) => {
    expect(readText('html', html).text).toBe('seen');
  });

  test.each(['<', '<p', '</p></p></div>', '<title>', '&#0;&#x110000;', '<p>'.repeat(5000), '<a href="'])(
    'is read however broken it is: %.20s',
    (html) => {
      expect(typeof readText('html', html).text).toBe('string');
    },
  );
});

describe('text', () => {
  test('loses what hides in it: controls, directions, and characters that nobody sees', () => {
    const tags = String.fromCodePoint(0xe0049, 0xe0047);
    expect(readText('plain', `a\u0000b\u202ec\u200bd${tags}\r\ne\u001b[31m`).text).toBe('abcd\ne[31m');
  });

  test('of Markdown has the first heading as its title, and plain text has none', () => {
    expect(readText('markdown', 'x\n\n## Second\n# First').title).toBe('Second');
    expect(readText('plain', '# no').title).toBe('');
  });

  test('of a title is one line of a bounded length', () => {
    expect(oneLine('a\n\n[1] b\u0007\tc')).toBe('a [1] b c');
    expect(oneLine('x'.repeat(1000))).toHaveLength(200);
  });
});

test.each([
  ['page', 'text/html; charset=utf-8', 'html'],
  ['page.md', 'text/plain', 'markdown'],
  ['page.pdf', 'application/pdf', undefined],
  ['page.md', 'image/png', undefined],
  ['README', undefined, 'plain'],
  ['a/b.HTML', undefined, 'html'],
  ['photo.png', undefined, undefined],
  ['notes.txt', '', 'plain'],
  ['data.bin', 'application/octet-stream', undefined],
] as const)('%s as %s is %s', (name, type, kind) => {
  expect(kindOf(name, type)).toBe(kind);
});

test.each([
  ['**/*.md', 'a.md', true],
  ['**/*.md', 'docs/deep/a.md', true],
  ['*.md', 'docs/a.md', false],
  ['docs/*.md', 'docs/a.md', true],
  ['docs/**', 'docs/a/b.txt', true],
  ['docs/**/a.md', 'docs/a.md', true],
  ['docs/**/a.md', 'docs/xa.md', false],
  ['**/a.md', 'xa.md', false],
  ['docs/', 'docs/a', false],
  ['a.md', 'aXmd', false],
  ['**a**a**a**a**a**a**b', 'a'.repeat(255), false],
])('%s with %.40s: %s', (pattern, path, fits) => {
  expect(matches(pattern, path)).toBe(fits);
});
