// SPDX-License-Identifier: MIT
// Swagger UI on the description beside this page. A description may name the OAuth client that
// this page is: `"x-client-id"` in a security scheme of type oauth2 or openIdConnect.
'use strict';

document.addEventListener('DOMContentLoaded', async () => {
  const spec = await readDescription();
  const schemes = Object.values(spec.components?.securitySchemes ?? {});
  const clientId = schemes.map((scheme) => scheme['x-client-id']).find(Boolean);

  document.querySelector('#reference .note').remove();
  const ui = SwaggerUIBundle({
    spec,
    domNode: document.getElementById('reference'),
    presets: [SwaggerUIBundle.presets.apis],
    deepLinking: true,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    persistAuthorization: false, // a token must not outlive the page
    validatorUrl: null, // nothing is sent elsewhere
    queryConfigEnabled: false,
    oauth2RedirectUrl: new URL('docs/oauth2-redirect.html', location.href).href,
  });
  if (clientId) ui.initOAuth({ clientId, usePkceWithAuthorizationCodeGrant: true });
});
