package browser

// audit is what can be said by a machine of how a page serves people: everything
// that takes input has a name, text stands out from what is behind it as WCAG 2.2 AA
// demands (text over pictures is left out), and fingers find what they are to hit.
// It returns what is wrong.
const audit = `(() => {
  const wrong = [];
  const seen = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && e.getClientRects().length > 0 && !e.closest(".hide, [aria-hidden=true], .uplot");
  const say = (e, what) => wrong.push(what + ": " + e.outerHTML.slice(0, 120));
  for (const e of document.querySelectorAll("a, button, input, select, textarea, summary, [tabindex='0']")) {
    if (!seen(e)) continue;
    if (!(e.labels?.length || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent.trim() || e.title)) say(e, "without a name");
    if (matchMedia("(pointer: coarse)").matches) {
      const r = (e.matches("input[type=checkbox], input[type=radio]") ? e.closest("label, .field") ?? e : e).getBoundingClientRect();
      if (!e.matches(".skip, [tabindex='0']") && (r.height < 43.5 || r.width < 24)) say(e, "too small for a finger, " + r.width.toFixed() + "x" + r.height.toFixed());
    }
  }
  const colour = (s) => { const m = s.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walk.nextNode()); ) {
    const e = n.parentElement;
    if (!n.data.trim() || !seen(e) || e.closest(".picture, .stage, script, style, noscript, option, :disabled")) continue;
    const layers = [];
    for (let a = e; a; a = a.parentElement) layers.push(colour(getComputedStyle(a).backgroundColor));
    const behind = layers.reverse().reduce((b, l) => over(l, b), [255, 255, 255, 1]), style = getComputedStyle(e), text = over(colour(style.color), behind);
    const [x, y] = [light(text), light(behind)].sort((a, b) => b - a), ratio = (x + 0.05) / (y + 0.05), size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    if (ratio < least) say(e, "contrast " + ratio.toFixed(2) + " of " + least);
  }
  return wrong;
})()`

// serves fails the test for what the page does not do for people.
func (p *tab) serves(view string) {
	p.Helper()
	for _, w := range eval[[]string](p, audit) {
		p.Errorf("%s: %s", view, w)
	}
}
