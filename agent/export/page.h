/*
 * The pages that a profile is put into. Text with one
 *	<script type="application/json" id="profile"></script>
 * between whose tags the profile goes. NUL-ended.
 */
#ifndef STROBE_EXPORT_PAGE_H
#define STROBE_EXPORT_PAGE_H

extern const char flame_page[]; /* of the dashboard's own flame graph */
extern const char count_page[]; /* for weights that are no times */

#endif
