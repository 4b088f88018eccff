/* The page that a profile is put into: text with the line
 *	<script type="application/json" id="profile">null</script>
 * whose null is replaced. NUL-ended. */
#ifndef STROBE_EXPORT_PAGE_H
#define STROBE_EXPORT_PAGE_H

extern const char flame_page[];

#endif
