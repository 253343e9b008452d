# cmake -DUI=FOLDER -DROOM=NAME -DMODULES=LIST -DSTYLES=LIST -DD3=FILE -DOUT=FILE -P inline_page.cmake
#
# Writes the report page as a C++ string. The modules go into one scope in the order given, without
# their import lines and export words; what that cannot do is refused here, not in the browser.
cmake_minimum_required(VERSION 3.25)

function(read_module name out)
  file(READ ${UI}/${name} text)
  string(REGEX MATCHALL "from \"[^\"]*\"" imports "${text}")
  foreach(import ${imports})
    string(REGEX REPLACE "from \"\\./(.*)\"" "\\1" imported ${import})
    if(NOT imported IN_LIST seen)
      message(FATAL_ERROR "${UI}/${name}: imports ${imported}, which does not come before it in the "
                          "list of modules; see cmake/report_page.cmake")
    endif()
  endforeach()
  string(REGEX REPLACE "(^|\n)import {[^}]*} from \"[^\"]*\";" "\\1" text "${text}")
  string(REGEX REPLACE "(^|\n)export (async |class |const |function )" "\\1\\2" text "${text}")
  if(text MATCHES "(^|\n)((import|export)[ {*][^\n]*)")
    message(FATAL_ERROR "${UI}/${name}: \"${CMAKE_MATCH_2}\" cannot be inlined; write import "
                        "{names} from \"./file.js\", or export before a declaration")
  endif()
  string(REGEX MATCHALL "\n(async function|function|const|let|class) [A-Za-z_]+" names "\n${text}")
  foreach(name_of ${names})
    string(REGEX REPLACE ".* " "" name_of ${name_of})
    if(name_of IN_LIST declared)
      message(FATAL_ERROR "${UI}/${name}: another module declares ${name_of} too, and all share one "
                          "scope once they are inlined; rename one")
    endif()
    list(APPEND declared ${name_of})
  endforeach()
  set(declared ${declared} PARENT_SCOPE)
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

set(seen "")
set(declared "")
set(script "")
foreach(module ${MODULES})
  read_module(${module} text)
  list(APPEND seen ${module})
  string(APPEND script "${text}")
endforeach()
file(READ ${D3} d3)
set(style "")
foreach(name ${STYLES})
  file(READ ${UI}/${name} text)
  string(APPEND style "${text}")
endforeach()
foreach(part d3 style script)
  string(TOLOWER "${${part}}" lower)
  if(lower MATCHES "</(script|style)")
    message(FATAL_ERROR "the ${part} of the report page holds \"</${CMAKE_MATCH_1}\", which would "
                        "end its element early")
  endif()
endforeach()

file(READ ${UI}/report.html page)
foreach(part style d3 script)
  string(FIND "${page}" "@${part}@" place)
  if(place EQUAL -1)
    message(FATAL_ERROR "${UI}/report.html has no place @${part}@")
  endif()
endforeach()
# The title and the document are the program's to fill in; it cuts the page at their places, which
# come before everything that is inlined.
string(REPLACE "@style@" "${style}" page "${page}")
string(REPLACE "@script@" "${script}" page "${page}")
string(REPLACE "@d3@" "${d3}" page "${page}")

file(WRITE ${OUT} "// Made by cmake/inline_page.cmake from ui/ and D3.
#include \"penstock/${ROOM}/internal/page.h\"

#pragma GCC diagnostic ignored \"-Woverlength-strings\"

namespace penstock::${ROOM}::internal {

std::string_view report_page() {
  static constexpr char kPage[] = R\"page(${page})page\";
  return std::string_view(kPage, sizeof kPage - 1);
}

}  // namespace penstock::${ROOM}::internal
")
