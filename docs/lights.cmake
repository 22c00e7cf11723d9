# SPDX-License-Identifier: MIT
#
# cmake -D table=leds/indicator.c -D page=docs/man/meterstick-leds.8 -D result=FILE -P lights.cmake
#
# Prints the table of the lights into their manual page, in the place of its line ".\" @LIGHTS@".

set(names program meters writing stick clock outlets alarm power)
set(pixels PROGRAM ACQUISITION WRITING STICK CLOCK OUTLETS ALARM POWER)
file(READ ${table} source)
file(READ ${page} text)
set(said "")

foreach(pixel IN LISTS pixels)
    list(FIND pixels ${pixel} index)
    list(GET names ${index} name)
    string(REGEX MATCHALL "{ PIXEL_${pixel}, COLOUR_[A-Z]+, [A-Z]+, \"[^\"]*\",[ \n]*\"[^\"]*\"(, COLOUR_[A-Z]+)? }"
        rows "${source}")
    set(line ".TP\n.B ${index} ${name}\n")
    foreach(row IN LISTS rows)
        string(REGEX MATCH "COLOUR_([A-Z]+), ([A-Z]+), \"[^\"]*\",[ \n]*\"([^\"]*)\"(, COLOUR_([A-Z]+))?" whole "${row}")
        set(shown ${CMAKE_MATCH_1})
        set(blinks ${CMAKE_MATCH_2})
        set(meaning ${CMAKE_MATCH_3})
        set(alternate ${CMAKE_MATCH_5})
        if(meaning MATCHES "^nothing: see")
            continue()
        endif()
        if(alternate)
            string(APPEND shown " and ${alternate}")
        endif()
        if(blinks STREQUAL "BLINKS")
            string(APPEND shown " blinking")
        endif()
        string(TOLOWER "${shown}" shown)
        string(APPEND said "${line}${shown}: ${meaning}\n")
        set(line ".br\n")
    endforeach()
endforeach()

string(REGEX MATCHALL "\n\\.br\n|\n\\.TP\n" lights "\n${said}")
list(LENGTH lights count)
if(count LESS 27 OR NOT text MATCHES "@LIGHTS@")
    message(FATAL_ERROR "${table} has ${count} lights that can be read, and ${page} must have a place for them")
endif()
string(REPLACE ".\\\" @LIGHTS@\n" "${said}" text "${text}")
file(WRITE ${result} "${text}")
