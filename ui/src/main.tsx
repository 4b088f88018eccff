import { render } from 'preact';

render(<main>strobe</main>, document.getElementById('app')!);
