// SPDX-License-Identifier: MIT
// ReDoc on the description beside this page, in the page's colours. Its search runs in a worker
// made from a blob, which the page's policy refuses: it is off, the browser's own search finds all.
'use strict';

document.addEventListener('DOMContentLoaded', async () => {
  const spec = await readDescription();
  const dark = document.documentElement.classList.contains('dark-mode');
  const ink = dark ? '#dbe4ec' : '#1f2d3a';
  const paper = dark ? '#11191f' : '#ffffff';
  const line = dark ? '#2b3a46' : '#e3e8ed';
  const accent = dark ? '#5fd4bb' : '#0b7a69';
  const font = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif';
  const mono = 'ui-monospace, "SF Mono", "Cascadia Code", "Liberation Mono", monospace';

  Redoc.init(
    spec,
    {
      disableSearch: true,
      hideLoading: true,
      sanitize: true,
      nativeScrollbars: true,
      hideDownloadButtons: true,
      expandResponses: '200,201',
      jsonSamplesExpandLevel: 3,
      sortRequiredPropsFirst: true,
      scrollYOffset: '.bar',
      theme: {
        spacing: { sectionVertical: 28 },
        colors: {
          primary: { main: accent },
          text: { primary: ink, secondary: dark ? '#9fb0be' : '#566675' },
          border: { dark: line, light: line },
          gray: { 50: dark ? '#18232b' : '#f7f9fa', 100: dark ? '#1d2a33' : '#eef2f5' },
          responses: {
            success: { color: accent, backgroundColor: dark ? '#15302c' : '#e8f6f3' },
            error: {
              color: dark ? '#ff9d94' : '#b3261e',
              backgroundColor: dark ? '#36201f' : '#fcedec',
            },
          },
        },
        schema: {
          nestedBackground: dark ? '#18232b' : '#f7f9fa',
          linesColor: dark ? '#3c4f5d' : '#c3ced7',
          typeNameColor: dark ? '#9fb0be' : '#566675',
          requireLabelColor: dark ? '#ff9d94' : '#b3261e',
        },
        sidebar: {
          width: '270px',
          backgroundColor: dark ? '#0d1419' : '#f5f7f9',
          textColor: ink,
          activeTextColor: accent,
        },
        rightPanel: {
          backgroundColor: dark ? '#0d1419' : '#12212d',
          width: '38%',
          servers: {
            overlay: { backgroundColor: dark ? '#1d2a33' : '#f7f9fa', textColor: ink },
            url: { backgroundColor: dark ? '#11191f' : '#ffffff' },
          },
        },
        codeBlock: { backgroundColor: dark ? '#080d10' : '#0b161f' },
        typography: {
          fontSize: '15px',
          fontFamily: font,
          lineHeight: '1.6',
          headings: { fontFamily: font, fontWeight: '600' },
          code: {
            fontFamily: mono,
            fontSize: '13px',
            color: dark ? '#ffb4a6' : '#a4331f',
            backgroundColor: dark ? '#1d2a33' : '#f0f3f5',
          },
          links: { color: accent },
        },
      },
    },
    document.getElementById('reference'),
  );
  document.body.style.backgroundColor = paper;
});
