# penstock_report_page(SOURCE) sets SOURCE to a .cpp file, made at build time, that holds the report
# page: ui/report.html with its style, its modules and D3 inlined (src/penstock/plan/internal/page.h).
set(PENSTOCK_PAGE_MODULES
  # In the order of their imports: one scope holds them all.
  format.js palette.js ticks.js keyboard.js tip.js fleet.js headline.js stacked_bars.js
  comparison.js label_layout.js pareto.js thresholds.js graph_layout.js graph_view.js candidate_table.js main.js)

function(penstock_report_page out)
  # Version 5 of D3; the older libjs-d3 is version 3.
  find_file(PENSTOCK_D3 d3.min.js PATHS /usr/share/nodejs/d3/dist NO_DEFAULT_PATH
            DOC "d3.min.js of D3 version 5, inlined into the report page")
  if(NOT PENSTOCK_D3)
    message(FATAL_ERROR "d3.min.js (D3 version 5) is missing, which draws the report page; install "
                        "it with: sudo apt-get install node-d3, or say -DPENSTOCK_D3=FILE")
  endif()
  set(ui ${PROJECT_SOURCE_DIR}/ui)
  set(script ${PROJECT_SOURCE_DIR}/cmake/inline_page.cmake)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/page.cpp)
  list(TRANSFORM PENSTOCK_PAGE_MODULES PREPEND ${ui}/ OUTPUT_VARIABLE modules)
  add_custom_command(
    OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} -DUI=${ui} "-DMODULES=${PENSTOCK_PAGE_MODULES}" -DD3=${PENSTOCK_D3}
            -DOUT=${source} -P ${script}
    DEPENDS ${script} ${ui}/report.html ${ui}/report.css ${modules} ${PENSTOCK_D3}
    COMMENT "Inlining the report page"
    VERBATIM)
  set(${out} ${source} PARENT_SCOPE)
endfunction()
